"""The organization itself: its name, time zone and hourly cost, another one, and its end."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import available_timezones

from flask import Blueprint, flash, redirect
from werkzeug.wrappers import Response

from costlens.domain.errors import Conflict, InvalidInput
from costlens.services import organization_settings
from costlens.services.first_steps import first_steps
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.frame import frame
from costlens.web.ui.settings.frame import do, settings_page, settings_url, text_of
from costlens.web.ui.start import render_start

_REBUILD_SECONDS = 7200


def blueprint() -> Blueprint:
    """The pages of the organization."""
    routes = Blueprint("organization", __name__, url_prefix="/app/<slug>/settings/organization")
    routes.get("")(organization_page)
    routes.post("")(change)
    routes.post("/new")(create)
    routes.post("/delete")(delete)
    return routes


@needs("manage_organization")
def organization_page(slug: str) -> str:
    """What is set for the organization."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
    return settings_page("organization.html", "organization", zones=zones)


@needs("manage_organization")
def change(slug: str) -> Response:
    """Sets name, time zone and hourly cost."""

    def work() -> str:
        recut = organization_settings.change_organization(
            context().store, current_member(), text_of("name"), text_of("timezone"), text_of("hourly_cost")
        )
        if not recut:
            return "Saved"
        now = int(datetime.now(UTC).timestamp())
        context().queue.run_once(
            "workers.ledger.verify_and_repair", now, seconds=_REBUILD_SECONDS, ttl=_REBUILD_SECONDS
        )
        return "Saved; the days of all reports are being cut anew in this time zone"

    return do(work, "organization")


@needs("create_organization")
def create(slug: str) -> str | Response:
    """Makes another organization and shows its first key, this once."""
    try:
        made = organization_settings.new_organization(
            context().store,
            current_member(),
            text_of("name"),
            page_organization().timezone,
            plan=context().settings.default_plan,
        )
    except (InvalidInput, Conflict) as error:
        flash(error.message, "error")
        return redirect(settings_url("organization"), 303)
    steps = first_steps(context().store, made.organization)
    return render_start(steps, frame(made.organization.slug).nav, key=made.api_key)


@needs("delete_organization")
def delete(slug: str) -> Response:
    """Deletes the organization, once its name is typed."""
    try:
        name = organization_settings.delete_organization(context().store, current_member(), text_of("name"))
    except InvalidInput as error:
        flash(error.message, "error")
        return redirect(settings_url("organization"), 303)
    flash(f"{name} was deleted with everything of it", "done")
    return redirect("/", 303)
