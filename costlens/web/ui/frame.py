"""The frame of a page: who may see it, and what stands around it."""

from __future__ import annotations

from typing import NamedTuple

from flask import Response, g, request
from flask_login import current_user, login_required

from costlens.services.shell import Shell, role_in, shell
from costlens.store.organizations import Organization
from costlens.web.auth import current_account, current_organization, current_organizations
from costlens.web.context import context
from costlens.web.ui.nav import Nav


class Frame(NamedTuple):
    """What a page needs before its own rows."""

    organization: Organization
    nav: Nav
    shell: Shell


@login_required  # type: ignore[untyped-decorator]
def signed_in() -> None:
    """Before every page below an organization: nothing there is shown to somebody who is not signed in."""


def leave_when_signed_out() -> Response | None:
    """Before `signed_in`: a page that waits must not put the sign-in page into itself, but load itself anew."""
    if "HX-Request" in request.headers and not current_user.is_authenticated:
        return Response(headers={"HX-Refresh": "true"})
    return None


def frame(slug: str) -> Frame:
    """The frame around a page of this organization; an error page of the same request stands in it too.

    It is made once a request. Raises NotFound for an organization that is not the user's.
    """
    made: Frame | None = g.get("frame")
    if made is not None and made.organization.slug == slug:
        return made
    organization, user = current_organization(slug), current_account()
    found = shell(context().store, organization.id)
    nav = Nav(
        organization=organization.name,
        slug=organization.slug,
        base_url=context().settings.base_url,
        others=tuple((one.slug, one.name) for one in current_organizations() if one.id != organization.id),
        teams=found.teams,
        repositories=found.repositories,
        providers=found.providers,
        timezone=organization.timezone,
        started=found.started,
        demo=organization.demo,
        role=role_in(context().store, organization.id, user.id) if user else None,
        user=user.email if user else None,
        sign_out_url="/sign-out",
    )
    g.nav, g.frame = nav, Frame(organization, nav, found)
    return Frame(organization, nav, found)
