"""Members and their roles."""

from __future__ import annotations

from flask import Blueprint, flash, redirect
from werkzeug.wrappers import Response

from costlens.domain.access import ROLES
from costlens.domain.errors import Conflict
from costlens.services import invitations, members
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, settings_page, settings_url, text_of


def blueprint() -> Blueprint:
    """The pages of an organization's people."""
    routes = Blueprint("people", __name__, url_prefix="/app/<slug>/settings/people")
    routes.get("")(people_page)
    routes.post("/<int:member_id>/role")(change_role)
    routes.post("/<int:member_id>/remove")(remove)
    return routes


@needs("see_people")
def people_page(slug: str) -> str:
    """Members with their roles and teams."""
    by, settings = current_member(), context().settings
    keeps = by.may("manage_people")
    lines = members.list_members(context().store, page_organization().id)
    return settings_page(
        "people.html",
        "people",
        members=lines,
        roles=[role for role in ROLES if role != "owner" or by.may("manage_owners")],
        owners=sum(line.role == "owner" for line in lines),
        invitations=invitations.list_invitations(context().store, settings, by.organization_id) if keeps else (),
        allowed=invitations.allowed_github(context().store, by.organization_id) if keeps else (),
        mail=settings.mail is not None,
        github=settings.github_sign_in,
    )


@needs("manage_people")
def change_role(slug: str, member_id: int) -> Response:
    """Gives a member another role."""

    def work() -> str:
        role = text_of("role")
        email = members.change_role(context().store, current_member(), member_id, role)
        return f"{email} is {role} now"

    return do(work, "people")


@needs("leave")
def remove(slug: str, member_id: int) -> Response:
    """Removes a member, or lets one leave."""
    by = current_member()
    if member_id != by.member_id:
        by.must("manage_people")
    try:
        email = members.remove_member(context().store, by, member_id)
    except Conflict as error:
        flash(error.message, "error")
        return redirect(settings_url("people"), 303)
    if member_id == by.member_id:
        flash(f"You left {page_organization().name}", "done")
        return redirect("/", 303)
    flash(f"{email} was removed: pages and keys are closed to them", "done")
    return redirect(settings_url("people"), 303)
