"""The pages of the connection with GitHub: connect, choose repositories, see how far they are read, let go."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request, session
from flask_login import login_required
from werkzeug.wrappers import Response as Answer

from costlens.domain.errors import CostLensError, Forbidden, InvalidInput
from costlens.github.app import manifest
from costlens.services import github_connect
from costlens.services.github_access import github_of
from costlens.store import organizations as org_store
from costlens.store.organizations import Organization
from costlens.web.auth import current_account, current_organization
from costlens.web.context import context
from costlens.web.security import POLICY
from costlens.web.ui.github_view import view
from costlens.web.ui.pages import frame

_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_MANAGERS = ("owner", "admin")
_WAITING = "github_app"  # session: the App that is being created


def blueprint() -> Blueprint:
    """The pages, for signed-in members; only owners and admins may change anything."""
    routes = Blueprint("github", __name__, url_prefix="/app/<slug>/github")
    routes.before_request(_signed_in)
    routes.get("")(page)
    routes.post("/app")(begin_app)
    routes.get("/created")(created)
    routes.get("/installed")(installed)
    routes.post("/token")(connect_token)
    routes.post("/list")(look_again)
    routes.post("/repositories")(choose)
    routes.post("/repositories/<int:source_id>/team")(assign)
    routes.post("/repositories/<int:source_id>/again")(read_again)
    routes.post("/webhook-secret")(change_secret)
    routes.post("/disconnect")(disconnect)
    return routes


@login_required  # type: ignore[untyped-decorator]
def _signed_in() -> None:
    """Nothing below is shown to somebody who is not signed in."""


def page(slug: str) -> str:
    """The connection of the organization, or how to make one."""
    return _page(current_organization(slug))


def _page(organization: Organization, *, error: CostLensError | None = None, secret: str | None = None) -> str:
    settings = context().settings
    _, nav, _ = frame(organization.slug)
    found = github_connect.connected(context().store, organization.id)
    return render_template(
        "github/connection.html" if found.connection else "github/connect.html",
        nav=nav,
        page="github",
        manager=_is_manager(organization),
        shown=view(found, settings, datetime.now(UTC)) if found.connection else None,
        github_url=settings.github_url,
        horizon=settings.github_horizon_days,
        public=_is_public(settings.base_url),
        error=error,
        secret=secret,
        now=datetime.now(UTC),
    )


def begin_app(slug: str) -> Response | Answer | tuple[str, int]:
    """The form that takes the manifest to GitHub; with JavaScript it sends itself."""
    organization = _managed(slug)
    account = request.form.get("account", "").strip()
    if account and not _LOGIN.fullmatch(account):
        return _page(organization, error=InvalidInput("That is no name of a GitHub organization")), 400
    settings = context().settings
    state, hook_id = secrets.token_urlsafe(24), github_connect.new_hook_id()
    session[_WAITING] = {"slug": slug, "state": state, "hook_id": hook_id}
    where = f"/organizations/{account}" if account else ""
    body = manifest(
        name=f"CostLens {organization.name}"[:34],
        base_url=settings.base_url,
        slug=organization.slug,
        hook_url=f"{settings.base_url}/webhooks/github/{hook_id}",
        public=_is_public(settings.base_url),
    )
    _, nav, _ = frame(slug)
    shown = render_template(
        "github/manifest.html",
        nav=nav,
        page="github",
        action=f"{settings.github_url}{where}/settings/apps/new?state={quote(state)}",
        manifest=body,
    )
    response = make_response(shown)
    # This one form goes to GitHub.
    allowed = f"form-action 'self' {settings.github_url}"
    response.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", allowed)
    return response


def created(slug: str) -> Answer | tuple[str, int]:
    """GitHub has created the App: take it over, then let it be installed."""
    organization = _managed(slug)
    waiting = session.pop(_WAITING, None)
    given = request.args.get("state", "")
    if not waiting or waiting["slug"] != slug or not hmac.compare_digest(waiting["state"].encode(), given.encode()):
        error = InvalidInput("This answer of GitHub is not for a form that was begun here; begin again")
        return _page(organization, error=error), 400
    try:
        app = github_connect.connect_app(
            context().store,
            github_of(context().settings),
            organization.id,
            request.args.get("code", ""),
            waiting["hook_id"],
            _who(),
        )
    except CostLensError as error:
        return _page(organization, error=error), 400
    return redirect(f"{app.url}/installations/new")


def installed(slug: str) -> Answer:
    """The App was installed, or its installation changed: ask GitHub what it may read, whatever this call says."""
    organization = _managed(slug)
    return _listed(organization)


def look_again(slug: str) -> Answer:
    """Asks GitHub anew which repositories there are."""
    return _listed(_managed(slug))


def _listed(organization: Organization) -> Answer:
    github_connect.look_again(context().store, organization.id)
    context().queue.run_soon("workers.sync.list_repositories", organization.id)
    return _back(organization)


def connect_token(slug: str) -> Answer | tuple[str, int]:
    """Connects by a token."""
    organization = _managed(slug)
    token = request.form.get("token", "")
    try:
        github_connect.connect_token(context().store, github_of(context().settings), organization.id, token, _who())
    except CostLensError as error:
        return _page(organization, error=error), 400
    return _back(organization)


def choose(slug: str) -> Answer | tuple[str, int]:
    """Reads exactly the ticked repositories from now on."""
    organization = _managed(slug)
    ticked = [int(text) for text in request.form.getlist("repository") if text.isdecimal() and len(text) < 18]
    try:
        github_connect.choose_repositories(context().store, organization.id, ticked)
    except CostLensError as error:
        return _page(organization, error=error), 400
    for source_id in ticked:
        context().queue.sync_soon(organization.id, source_id)
    return _back(organization)


def assign(slug: str, source_id: int) -> Answer | tuple[str, int]:
    """Gives a repository to a team."""
    organization = _managed(slug)
    text = request.form.get("team", "")
    team = int(text) if text.isdecimal() and len(text) < 18 else None
    try:
        github_connect.assign_team(context().store, organization.id, source_id, team)
    except InvalidInput as error:
        return _page(organization, error=error), 400
    return _back(organization)


def read_again(slug: str, source_id: int) -> Answer:
    """Reads a repository from the start once more."""
    organization = _managed(slug)
    github_connect.read_again(context().store, organization.id, source_id)
    context().queue.sync_soon(organization.id, source_id)
    return _back(organization)


def change_secret(slug: str) -> Response | tuple[str, int]:
    """Makes a new webhook secret; an App is told of it, for a token it is shown once."""
    organization = _managed(slug)
    try:
        secret = github_connect.change_webhook_secret(context().store, github_of(context().settings), organization.id)
    except InvalidInput as error:
        return _page(organization, error=error), 400
    return make_response(_page(organization, secret=secret))


def disconnect(slug: str) -> Answer | tuple[str, int]:
    """Deletes the connection and what was read through it."""
    organization = _managed(slug)
    try:
        github_connect.disconnect(context().store, organization.id, request.form.get("confirmation", ""), _who())
    except InvalidInput as error:
        return _page(organization, error=error), 400
    return _back(organization)


def _managed(slug: str) -> Organization:
    """The organization, for its owners and admins. Raises NotFound or Forbidden."""
    organization = current_organization(slug)
    if not _is_manager(organization):
        raise Forbidden("Only an owner or an admin may change the connection with GitHub")
    return organization


def _is_manager(organization: Organization) -> bool:
    """Whether the signed-in person is an owner or an admin."""
    with context().store.read() as tx:
        member = org_store.find_member(tx, organization.id, _who())
    return member is not None and member.role in _MANAGERS


def _back(organization: Organization) -> Answer:
    return redirect(f"/app/{organization.slug}/github", 303)


def _who() -> str:
    account = current_account()
    return account.email if account else "nobody"


def _is_public(base_url: str) -> bool:
    """Whether GitHub could send webhooks to this address: not a name of this machine or of a private network."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".test", ".example"))
