"""Sign-in by a link from the console, sign-out, and the set-up of the first owner."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_login import logout_user
from werkzeug.wrappers import Response

from costlens.domain.errors import CostLensError, NotFound
from costlens.domain.passwords import check_password
from costlens.services import organizations, passwords, sessions
from costlens.services.first_steps import first_steps
from costlens.services.set_up import is_set_up_token
from costlens.store.organizations import User
from costlens.web.auth import current_account, current_organizations, current_session_id, start_session
from costlens.web.context import context
from costlens.web.ui.frame import frame
from costlens.web.ui.nav import organization_url
from costlens.web.ui.start import render_start


def blueprint() -> Blueprint:
    """The pages of set-up and signing in and out."""
    routes = Blueprint("accounts", __name__)
    routes.get("/")(home)
    routes.get("/sign-in/<token>")(use_link)
    routes.post("/sign-out")(sign_out)
    routes.get("/set-up/<token>")(set_up_form)
    routes.post("/set-up/<token>")(set_up)
    return routes


def page(template: str, **values: object) -> str:
    """A page outside any organization."""
    return render_template(template, nav=None, page=None, **values)


def home() -> Response:
    """The first page of the signed-in user's first organization."""
    if current_account() is None:
        return redirect(url_for("sign_in.sign_in_page"))
    found = current_organizations()
    if not found:
        raise NotFound("You are not a member of any organization")
    return redirect(organization_url(found[0].slug))


def use_link(token: str) -> Response | str | tuple[str, int]:
    """Signs in with a link, once; 410 when it was used or has expired. A HEAD, as link previews send, does nothing."""
    if request.method == "HEAD":
        return ""
    user = organizations.use_sign_in_link(context().store, token)
    if user is None:
        return page("sign_in/expired.html"), 410
    return _start_session(user)


def _start_session(user: User) -> Response:
    target = local_target(session.get("next"))
    start_session(user, "link")
    return redirect(target)


def local_target(target: object) -> str:
    """A path of this server, whatever a session or a form holds."""
    local = isinstance(target, str) and target.startswith(("/app/", "/invitations/"))
    return str(target) if local and "\\" not in str(target) and str(target).isprintable() else "/"


def sign_out() -> Response:
    """Ends this session, in the database too: a copy of its cookie is worth nothing."""
    user = current_account()
    if user is not None:
        with suppress(NotFound):  # ended from elsewhere meanwhile
            sessions.end_session(context().store, user, current_session_id())
    logout_user()
    session.clear()
    target = local_target(request.form.get("next"))
    return redirect(target if target != "/" else url_for("sign_in.sign_in_page"))


def _check_set_up(token: str) -> None:
    if not is_set_up_token(context().settings, token):
        raise NotFound("This set-up link is not valid")
    if organizations.owner_exists(context().store):
        raise NotFound("An owner exists already; ask the console for `costlens sign-in-link EMAIL`")


def set_up_form(token: str) -> str:
    """The form for the first organization and owner. Raises NotFound once there is one."""
    _check_set_up(token)
    return _set_up_page(token, None, {})


def _set_up_page(token: str, error: CostLensError | None, values: dict[str, str]) -> str:
    github = context().settings.github_sign_in
    return page("sign_in/set_up.html", token=token, error=error, values=values, github=github)


def set_up(token: str) -> str | tuple[str, int]:
    """Creates the first organization and owner, signs the owner in and shows the first steps with the key, once."""
    _check_set_up(token)
    values = {name: request.form.get(name, "").strip() for name in ("organization", "email", "timezone")}
    settings = context().settings
    password = "" if settings.github_sign_in else request.form.get("password", "")
    try:
        if password:
            check_password(password, values["email"])
        created = organizations.create_organization(
            context().store,
            values["organization"],
            values["email"],
            plan=settings.default_plan,
            timezone=values["timezone"] or "UTC",
        )
    except CostLensError as error:
        return _set_up_page(token, error, values), 400
    user = organizations.use_sign_in_link(context().store, created.sign_in_token)
    if user is not None:
        _start_session(passwords.change_password(context().store, user, "", password) if password else user)
    nav = frame(created.organization.slug).nav
    return render_start(first_steps(context().store, created.organization), nav, key=created.api_key)
