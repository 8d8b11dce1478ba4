"""Signing in with e-mail and password or with GitHub, and choosing a new password."""

from __future__ import annotations

import hmac

from flask import Blueprint, flash, redirect, request, session, url_for
from werkzeug.wrappers import Response

from costlens.domain.errors import (
    Conflict,
    CostLensError,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from costlens.github import sign_in as github
from costlens.services import joining, passwords
from costlens.services.github_accounts import NotInvited, WrongAccount, asks_organizations, join, welcome
from costlens.services.invitations import find_invitation
from costlens.store.organizations import User
from costlens.web.auth import current_account, device, start_session
from costlens.web.context import context
from costlens.web.errors import STATUS
from costlens.web.ui.accounts import local_target, page
from costlens.web.ui.nav import organization_url

Page = str | tuple[str, int] | Response


def blueprint() -> Blueprint:
    """The routes of signing in."""
    routes = Blueprint("sign_in", __name__, url_prefix="/sign-in")
    routes.get("")(sign_in_page)
    routes.post("/password")(with_password)
    routes.get("/forgotten")(forgotten_page)
    routes.post("/forgotten")(forgotten)
    routes.get("/new-password/<token>")(new_password_page)
    routes.post("/new-password/<token>")(new_password)
    routes.get("/github")(to_github)
    routes.get("/github/callback")(from_github)
    return routes


def sign_in_page() -> str:
    """Where somebody without a session lands."""
    return _form(None, "")


def _form(error: CostLensError | None, email: str) -> str:
    settings = context().settings
    return page("sign_in/index.html", github=settings.github_sign_in, mail=settings.mail, error=error, email=email)


def with_password() -> Page:
    """Signs in with e-mail and password."""
    _passwords_only()
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        user = passwords.sign_in(context().store, email, password, device().address)
    except (Unauthorized, RateLimited) as error:
        return _form(error, email[:254]), STATUS[type(error)]
    return finish(user, "password")


def finish(user: User, method: str, target: str | None = None) -> Response:
    """Begins the session and goes where the browser wanted to go: an invitation, a page, or the start."""
    wanted = target or session.get("next")
    start_session(user, method)
    return redirect(local_target(wanted), 303)


def _passwords_only() -> None:
    if context().settings.github_sign_in:
        raise NotFound("People sign in with GitHub here")


def forgotten_page() -> str:
    """The form that asks for a link."""
    _passwords_only()
    return page("sign_in/forgotten.html", mail=context().settings.mail, sent=None, error=None)


def forgotten() -> Page:
    """Has a link sent; the answer is the same for every address."""
    _passwords_only()
    if context().settings.mail is None:
        raise NotFound("This server sends no e-mails")
    email = request.form.get("email", "").strip()
    error = None
    try:
        joining.ask_for_reset(context().store, context().queue, email, device().address)
    except Unavailable as away:
        error = away
    shown = page("sign_in/forgotten.html", mail=True, sent=None if error else email[:254], error=error)
    return (shown, 503) if error else shown


def new_password_page(token: str) -> Page:
    """The form for a new password; 410 for a link of no use."""
    _passwords_only()
    holder = passwords.reset_holder(context().store, token)
    if holder is None:
        return page("sign_in/no_reset.html", mail=context().settings.mail), 410
    return page("sign_in/new_password.html", token=token, email=holder.email, error=None)


def new_password(token: str) -> Page:
    """Sets the password, ends every other session, and signs in."""
    _passwords_only()
    try:
        user = passwords.use_reset(context().store, token, request.form.get("password", ""))
    except InvalidInput as error:
        holder = passwords.reset_holder(context().store, token)
        return page("sign_in/new_password.html", token=token, email=holder.email if holder else "", error=error), 400
    except NotFound:
        return page("sign_in/no_reset.html", mail=context().settings.mail), 410
    return finish(user, "password")


def to_github() -> Page:
    """Sends the browser to GitHub, with a state that only this browser can bring back.

    `invitation` in the query is the token of the one that is to be accepted on the way back.
    """
    _github_only()
    organizations = asks_organizations(context().store)
    begun = github.authorization(context().settings, organizations=organizations)
    session["github"] = {
        "state": begun.state,
        "verifier": begun.verifier,
        "organizations": organizations,
        "invitation": request.args.get("invitation", "")[:200],
    }
    return redirect(begun.url)


def _github_only() -> None:
    if not context().settings.github_sign_in:
        raise NotFound("This server is not connected to GitHub")


def from_github() -> Page:
    """Takes back the browser that GitHub has sent, once."""
    _github_only()
    begun = session.pop("github", None)
    state = request.args.get("state", "")
    if not isinstance(begun, dict) or not hmac.compare_digest(str(begun.get("state")).encode(), state.encode()):
        return _failed("This sign-in did not begin here", "It was begun in another browser or long ago.", 400)
    if problem := request.args.get("error"):
        if problem == "access_denied":
            return _failed("You did not let CostLens in", "Nothing was read from GitHub, and nothing was kept.", 400)
        return _failed("GitHub refused the sign-in", request.args.get("error_description", problem)[:300], 400)
    code = request.args.get("code", "")
    if "connect" in begun:  # a token for reading repositories: the organization's own page asks for it
        session["github_code"] = {"slug": begun["connect"], "code": code[:200], "verifier": begun["verifier"]}
        return redirect(url_for("github.authorized", slug=begun["connect"]), 303)
    return _joined(code, begun) if "join" in begun else _with_code(code, begun)


def _joined(code: str, begun: dict[str, object]) -> Page:
    """Somebody who is signed in has asked for a GitHub identity of their account."""
    account, settings = current_account(), context().settings
    if account is None or account.id != begun["join"]:
        return _failed("This did not begin here", "Sign in again, then connect GitHub on your account's page.", 400)
    try:
        who = github.person(settings, code, str(begun.get("verifier")), organizations=False)
        join(context().store, account.id, who)
    except (Forbidden, Conflict, Unavailable) as error:
        flash(error.message, "error")
    else:
        flash(f"This account belongs to @{who.login} on GitHub now", "done")
    return redirect(url_for("account.account_page", slug=begun["slug"]), 303)


def _with_code(code: str, begun: dict[str, object]) -> Page:
    settings, store = context().settings, context().store
    token = str(begun.get("invitation", ""))
    invitation = find_invitation(store, settings, token) if token else None
    organizations = bool(begun.get("organizations"))
    try:
        who = github.person(settings, code, str(begun.get("verifier")), organizations=organizations)
        found = welcome(store, who, invitation)
    except NotInvited as error:
        return page("sign_in/not_invited.html", message=error.message), 403
    except WrongAccount as error:
        return page("invitations/wrong.html", message=error.message, invitation=invitation, token=token), 409
    except Forbidden as error:
        return _failed("GitHub refused the sign-in", error.message, 400)
    except Conflict as error:
        return _failed("This account is taken", error.message, 409)
    except NotFound as error:
        return _failed("The invitation no longer holds", error.message, 410)
    except Unavailable as error:
        return _failed("GitHub is away", error.message, 503)
    return finish(found.user, "github", organization_url(found.joined) if found.joined else None)


def _failed(title: str, message: str, status: int) -> Page:
    again = url_for("sign_in.to_github")
    return page("sign_in/failed.html", title=title, message=message, again=again), status
