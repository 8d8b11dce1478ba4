"""The one place where pages are opened or kept shut: every page of an organization names its permission."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app, g, request
from werkzeug.wrappers import Response

from costlens.domain.access import PERMISSIONS, Member
from costlens.domain.errors import NotFound
from costlens.store.members import member_of
from costlens.store.organizations import Organization
from costlens.web.auth import current_account
from costlens.web.context import context
from costlens.web.ui.frame import frame

View = TypeVar("View", bound=Callable[..., object])


def needs(permission: str) -> Callable[[View], View]:
    """Says which permission a view asks for. Raises KeyError for one that is not in the table."""
    if permission not in PERMISSIONS:
        raise KeyError(permission)

    def named(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return named


def permission_of(app: Flask, endpoint: str) -> str | None:
    """The permission that a route names. None: it names none."""
    found: str | None = getattr(app.view_functions[endpoint], "permission", None)
    return found


def set_up_access(app: Flask) -> None:
    """Checks every request for a page below /app before its view runs."""
    app.before_request(_check)


def _check() -> Response | None:
    """Lets nobody in who is not signed in, not a member, or not allowed; nor anybody to a route without a rule."""
    rule = request.url_rule
    if rule is None or not rule.rule.startswith("/app/") or request.endpoint is None:
        return None
    permission = permission_of(current_app, request.endpoint)
    if permission is None:
        raise RuntimeError(f"{request.endpoint} names no permission")
    user = current_account()
    if user is None and "HX-Request" in request.headers:
        return Response(headers={"HX-Refresh": "true"})  # a page that waits must not put the sign-in page into itself
    if user is None:
        answer: Response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        return answer
    slug = (request.view_args or {}).get("slug", "")
    with context().store.read() as tx:
        found = member_of(tx, user.id, slug)
    if found is None:
        raise NotFound("No such organization, or you are not a member of it")
    g.organization, g.member = found
    if request.method != "GET" or not current_member().may(permission):
        frame(slug)  # in which an error stands; pages make it themselves
    current_member().must(permission)
    return None


def current_member() -> Member:
    """Who the signed-in user is in the organization of this page."""
    member: Member = g.member
    return member


def page_organization() -> Organization:
    """The organization of this page."""
    organization: Organization = g.organization
    return organization
