"""The page behind an invitation's link: who is asked, by whom, and how to accept."""

from __future__ import annotations

from flask import Blueprint, request, session
from werkzeug.wrappers import Response

from costlens.domain.errors import Conflict, CostLensError, InvalidInput, NotFound
from costlens.services import invitations, joining
from costlens.services.invitations import Invitation
from costlens.web.auth import current_account
from costlens.web.context import context
from costlens.web.ui.accounts import page
from costlens.web.ui.nav import organization_url
from costlens.web.ui.sign_in import Page, finish


def blueprint() -> Blueprint:
    """The routes of an invitation."""
    routes = Blueprint("invitations", __name__, url_prefix="/invitations/<token>")
    routes.get("")(show)
    routes.post("")(join)
    routes.post("/accept")(accept)
    return routes


def _find(token: str) -> Invitation | None:
    return invitations.find_invitation(context().store, context().settings, token)


def _over(invitation: Invitation | None) -> Page:
    return page("invitations/over.html", invitation=invitation), 410 if invitation else 404


def show(token: str) -> Page:
    """The invitation, as the one who looks can accept it; 410 for one that no longer holds."""
    invitation = _find(token)
    if invitation is None or invitation.state != "open":
        return _over(invitation)
    account = current_account()
    if account is None:
        session["next"] = f"/invitations/{token}"  # for the way back from signing in
        return _form(token, invitation, None, "")
    if account.email != invitation.email:
        message = f"This invitation is for {invitation.email}, and you are signed in as {account.email}."
        return page("invitations/wrong.html", message=message, invitation=invitation, token=token), 409
    return page("invitations/accept.html", invitation=invitation, token=token)


def _form(token: str, invitation: Invitation, error: CostLensError | None, name: str) -> str:
    return page(
        "invitations/join.html",
        token=token,
        invitation=invitation,
        github=context().settings.github_sign_in,
        known=joining.has_account(context().store, invitation.email),
        error=error,
        name=name,
    )


def join(token: str) -> Page:
    """Makes an account with a password, and accepts."""
    invitation = _find(token)
    if invitation is None or invitation.state != "open":
        return _over(invitation)
    if context().settings.github_sign_in:
        raise NotFound("People sign in with GitHub here")
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        user = joining.join_with_password(context().store, invitation, name, password)
    except (InvalidInput, Conflict) as error:
        return _form(token, invitation, error, name[:200]), 409 if isinstance(error, Conflict) else 400
    except NotFound:
        return _over(_find(token))
    return finish(user, "password", organization_url(invitation.slug))


def accept(token: str) -> Page | Response:
    """Accepts with the account that is signed in."""
    invitation = _find(token)
    account = current_account()
    if invitation is None or invitation.state != "open" or account is None or account.email != invitation.email:
        return show(token)
    try:
        slug = invitations.accept(context().store, invitation, account.id)
    except NotFound:
        return _over(_find(token))
    return Response(status=303, headers={"Location": organization_url(slug)})
