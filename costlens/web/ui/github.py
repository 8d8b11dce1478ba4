"""The pages of the connection with GitHub: connect, choose repositories, see how far they are read, let go."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as Answer

from costlens.domain.errors import CostLensError, InvalidInput, NotFound
from costlens.github import sign_in
from costlens.github.app import manifest
from costlens.services import comment_settings, github_connect, github_disconnect
from costlens.services.github_access import github_of
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.security import POLICY
from costlens.web.ui.frame import frame
from costlens.web.ui.github_view import leaving, view

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_WAITING = "github_app"  # session: the App that is being created


def blueprint() -> Blueprint:
    """The pages, for members; only owners and admins may change anything."""
    routes = Blueprint("github", __name__, url_prefix="/app/<slug>/github")
    routes.get("")(page)
    routes.post("/app")(begin_app)
    routes.get("/created")(created)
    routes.get("/installed")(installed)
    routes.post("/token")(connect_token)
    routes.get("/authorize")(authorize)
    routes.get("/authorized")(authorized)
    routes.post("/list")(look_again)
    routes.post("/repositories")(choose)
    routes.post("/repositories/<int:source_id>/team")(assign)
    routes.post("/repositories/<int:source_id>/again")(read_again)
    routes.post("/comments")(set_comments)
    routes.post("/comments/again")(try_comments)
    routes.post("/comments/delete")(delete_comments)
    routes.post("/webhook-secret")(change_secret)
    routes.post("/disconnect")(disconnect)
    return routes


@needs("see_reports")
def page(slug: str) -> str:
    """The connection of the organization, or how to make one."""
    return _page()


def _page(*, error: CostLensError | None = None, secret: str | None = None) -> str:
    settings, organization = context().settings, page_organization()
    found = github_connect.connected(context().store, organization.id)
    template = "connection" if found.connection else "leaving" if found.departure else "connect"
    return render_template(
        f"github/{template}.html",
        nav=frame(organization.slug).nav,
        page="github",
        manager=current_member().may("manage_github"),
        shown=view(found, settings, datetime.now(UTC)) if found.connection else None,
        leaving=leaving(found.departure) if found.departure else None,
        github_url=settings.github_url,
        oauth=sign_in.can_sync(settings),
        horizon=settings.github_horizon_days,
        public=_is_public(settings.base_url),
        error=error,
        secret=secret,
        now=datetime.now(UTC),
    )


@needs("manage_github")
def begin_app(slug: str) -> Response | Answer | tuple[str, int]:
    """The form that takes the manifest to GitHub; with JavaScript it sends itself."""
    account = request.form.get("account", "").strip()
    if account and not _LOGIN.fullmatch(account):
        return _page(error=InvalidInput("That is no name of a GitHub organization")), 400
    settings = context().settings
    state, hook_id = secrets.token_urlsafe(24), github_connect.new_hook_id()
    session[_WAITING] = {"slug": slug, "state": state, "hook_id": hook_id}
    where = f"/organizations/{account}" if account else ""
    body = manifest(
        name=f"CostLens {page_organization().name}"[:34],
        base_url=settings.base_url,
        slug=slug,
        hook_url=f"{settings.base_url}/webhooks/github/{hook_id}",
        public=_is_public(settings.base_url),
    )
    shown = render_template(
        "github/manifest.html",
        nav=frame(slug).nav,
        page="github",
        action=f"{settings.github_url}{where}/settings/apps/new?state={quote(state)}",
        manifest=body,
    )
    response = make_response(shown)
    # This one form goes to GitHub.
    allowed = f"form-action 'self' {settings.github_url}"
    response.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", allowed)
    return response


@needs("manage_github")
def created(slug: str) -> Answer | tuple[str, int]:
    """GitHub has created the App: take it over, then let it be installed."""
    waiting = session.pop(_WAITING, None)
    given = request.args.get("state", "")
    if not waiting or waiting["slug"] != slug or not hmac.compare_digest(waiting["state"].encode(), given.encode()):
        error = InvalidInput("This answer of GitHub is not for a form that was begun here; begin again")
        return _page(error=error), 400
    try:
        app = github_connect.connect_app(
            context().store,
            github_of(context().settings),
            current_member(),
            request.args.get("code", ""),
            waiting["hook_id"],
        )
    except CostLensError as error:
        return _page(error=error), 400
    return redirect(f"{app.url}/installations/new")


@needs("manage_github")
def installed(slug: str) -> Answer:
    """The App was installed, or its installation changed: ask GitHub what it may read, whatever this call says."""
    return _listed()


@needs("manage_github")
def look_again(slug: str) -> Answer:
    """Asks GitHub anew which repositories there are."""
    return _listed()


def _listed() -> Answer:
    organization = page_organization()
    github_connect.look_again(context().store, organization.id)
    context().queue.run_soon("workers.sync.list_repositories", organization.id)
    return _back()


@needs("manage_github")
def connect_token(slug: str) -> Answer | tuple[str, int]:
    """Connects by a token."""
    token = request.form.get("token", "")
    try:
        github_connect.connect_token(context().store, github_of(context().settings), current_member(), token)
    except CostLensError as error:
        return _page(error=error), 400
    return _back()


@needs("manage_github")
def authorize(slug: str) -> Answer:
    """Sends the browser to GitHub, which asks whether the OAuth App of signing in may have the repositories."""
    if not sign_in.can_sync(context().settings):
        raise NotFound("People do not sign in by an OAuth App here")
    begun = sign_in.sync_authorization(context().settings)
    session["github"] = {"state": begun.state, "verifier": begun.verifier, "connect": slug}
    return redirect(begun.url)


@needs("manage_github")
def authorized(slug: str) -> Answer | tuple[str, int]:
    """GitHub has said yes: connect with the token that its code stands for. The code came back to the sign-in."""
    settings, given = context().settings, session.pop("github_code", None)
    if not given or given["slug"] != slug:
        return _page(error=InvalidInput("This answer of GitHub is not for anything that was begun here")), 400
    try:
        token = sign_in.sync_token(settings, given["code"], given["verifier"])
        github_connect.connect_token(context().store, github_of(settings), current_member(), token, kind="oauth")
    except CostLensError as error:
        return _page(error=error), 400
    return _back()


@needs("manage_github")
def choose(slug: str) -> Answer | tuple[str, int]:
    """Reads exactly the ticked repositories from now on."""
    ticked = _ticked()
    try:
        github_connect.choose_repositories(context().store, current_member(), ticked)
    except CostLensError as error:
        return _page(error=error), 400
    for source_id in ticked:
        context().queue.sync_soon(page_organization().id, source_id)
    return _back()


def _ticked() -> list[int]:
    return [int(text) for text in request.form.getlist("repository") if text.isdecimal() and len(text) < 18]


@needs("manage_github")
def assign(slug: str, source_id: int) -> Answer | tuple[str, int]:
    """Gives a repository to a team."""
    text = request.form.get("team", "")
    team = int(text) if text.isdecimal() and len(text) < 18 else None
    try:
        github_connect.assign_team(context().store, current_member(), source_id, team)
    except InvalidInput as error:
        return _page(error=error), 400
    return _back()


@needs("manage_github")
def read_again(slug: str, source_id: int) -> Answer:
    """Reads a repository from the start once more."""
    github_connect.read_again(context().store, page_organization().id, source_id)
    context().queue.sync_soon(page_organization().id, source_id)
    return _back()


@needs("manage_github")
def set_comments(slug: str) -> Answer | tuple[str, int]:
    """Comments on pull requests on or off, and in exactly the ticked repositories."""
    on = request.form.get("on") == "yes"
    try:
        comment_settings.set_comments(context().store, current_member(), on=on, chosen=_ticked())
    except InvalidInput as error:
        return _page(error=error), 400
    return _back("#comments")


@needs("manage_github")
def try_comments(slug: str) -> Answer:
    """Tries again to comment where GitHub refused it; an App's permissions are asked for anew."""
    organization = page_organization()
    comment_settings.try_again(context().store, current_member())
    github_connect.look_again(context().store, organization.id)
    context().queue.run_soon("workers.sync.list_repositories", organization.id)
    return _back("#comments")


@needs("manage_github")
def delete_comments(slug: str) -> Answer:
    """Deletes the comments of the repositories where comments are off, by and by."""
    comment_settings.delete_comments(context().store, current_member())
    return _back("#comments")


@needs("manage_github")
def change_secret(slug: str) -> Response | tuple[str, int]:
    """Makes a new webhook secret; an App is told of it, for a token it is shown once."""
    try:
        secret = github_connect.change_webhook_secret(context().store, github_of(context().settings), current_member())
    except InvalidInput as error:
        return _page(error=error), 400
    return make_response(_page(secret=secret))


@needs("manage_github")
def disconnect(slug: str) -> Answer | tuple[str, int]:
    """Deletes the connection, and what was read through it by and by."""
    try:
        github_disconnect.disconnect(context().store, current_member(), request.form.get("confirmation", ""))
    except InvalidInput as error:
        return _page(error=error), 400
    context().queue.run_soon("workers.sync.disconnect", page_organization().id)
    return _back()


def _back(place: str = "") -> Answer:
    return redirect(f"/app/{page_organization().slug}/github{place}", 303)


def _is_public(base_url: str) -> bool:
    """Whether GitHub could send webhooks to this address: not a name of this machine or of a private network."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".test", ".example"))
