"""One's own account: name, password, and the sessions that are signed in."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, session
from flask_login import logout_user
from werkzeug.wrappers import Response

from costlens.domain.errors import Conflict, InvalidInput, NotFound, RateLimited
from costlens.github import sign_in as github
from costlens.services import accounts, github_accounts, passwords, sessions
from costlens.store.organizations import User
from costlens.web.access import current_member, needs
from costlens.web.auth import current_account, current_session_id, start_session
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, settings_page, settings_url, text_of


def blueprint() -> Blueprint:
    """The page of one's own account."""
    routes = Blueprint("account", __name__, url_prefix="/app/<slug>/settings/sign-in")
    routes.get("")(account_page)
    routes.post("/name")(set_name)
    routes.post("/password")(change_password)
    routes.get("/github")(join_github)
    routes.post("/github/remove")(part_from_github)
    routes.post("/sessions/<int:session_id>/end")(end_session)
    routes.post("/sessions/end-all")(end_all)
    routes.post("/password-link/<int:member_id>")(password_link)
    return routes


def _user() -> User:
    user = current_account()
    assert user is not None, "the route asks for a permission"
    return user


@needs("manage_own_account")
def account_page(slug: str) -> str:
    """Name, password and sessions."""
    user = _user()
    return settings_page(
        "account.html",
        "sign-in",
        account=accounts.own_account(context().store, user),
        sessions=sessions.own_sessions(context().store, user, current_session_id()),
        github=context().settings.github_sign_in,
    )


@needs("manage_own_account")
def set_name(slug: str) -> Response:
    """Sets one's own name."""
    return do(lambda: f"You are {accounts.set_name(context().store, _user(), text_of('name'))}", "sign-in")


@needs("manage_own_account")
def change_password(slug: str) -> Response:
    """Sets a password; every other session ends."""
    if context().settings.github_sign_in:
        raise NotFound("People sign in with GitHub here")
    form = text_of("current"), text_of("password")
    try:
        user = passwords.change_password(context().store, _user(), *form)
    except (InvalidInput, RateLimited) as error:
        flash(error.message, "error")
        return redirect(settings_url("sign-in"), 303)
    start_session(user, "password")
    flash("The password is set; every other session has ended", "done")
    return redirect(settings_url("sign-in"), 303)


@needs("manage_own_account")
def join_github(slug: str) -> Response:
    """Sends the browser to GitHub, which says whose account this is."""
    if not context().settings.github_sign_in:
        raise NotFound("This server is not connected to GitHub")
    begun = github.authorization(context().settings, organizations=False)
    session["github"] = {"state": begun.state, "verifier": begun.verifier, "join": _user().id, "slug": slug}
    return redirect(begun.url)


@needs("manage_own_account")
def part_from_github(slug: str) -> Response:
    """Takes the GitHub identity from the account."""

    def work() -> str:
        github_accounts.part(context().store, _user().id)
        return "This account belongs to nobody on GitHub now"

    return do(work, "sign-in")


@needs("manage_own_account")
def end_session(slug: str, session_id: int) -> Response:
    """Ends one of one's own sessions."""
    if session_id == current_session_id():
        sessions.end_session(context().store, _user(), session_id)
        return _sign_out()

    def work() -> str:
        sessions.end_session(context().store, _user(), session_id)
        return "That session has ended"

    return do(work, "sign-in")


@needs("manage_own_account")
def end_all(slug: str) -> Response:
    """Ends every session of the account, this one too."""
    sessions.end_all_sessions(context().store, _user())
    return _sign_out()


def _sign_out() -> Response:
    logout_user()
    session.clear()
    flash("You are signed out", "done")
    return redirect("/sign-in", 303)


@needs("manage_sign_in")
def password_link(slug: str, member_id: int) -> str | Response:
    """Shows a link by which a member chooses a new password, this once."""
    if context().settings.github_sign_in:
        raise NotFound("People sign in with GitHub here")
    try:
        token, email = passwords.owners_reset_token(context().store, current_member(), member_id)
    except (Conflict, NotFound) as error:
        flash(error.message, "error")
        return redirect(settings_url("people"), 303)
    url = f"{context().settings.base_url}/sign-in/new-password/{token}"
    return settings_page("password_link.html", "people", url=url, email=email)
