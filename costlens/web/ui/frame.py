"""The frame of a page: who may see it, and what stands around it."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g
from flask_login import login_required

from costlens.services.shell import Shell, shell
from costlens.store.organizations import Organization
from costlens.web.auth import current_account, current_organization, current_organizations
from costlens.web.context import context
from costlens.web.ui.nav import Nav


@dataclass(frozen=True, slots=True)
class Frame:
    organization: Organization
    nav: Nav
    shell: Shell


@login_required  # type: ignore[untyped-decorator]
def signed_in() -> None:
    """Before every page below an organization: nothing there is shown to somebody who is not signed in."""


def frame(slug: str) -> Frame:
    """The frame around a page of this organization; an error page of the same request stands in it too.

    Raises NotFound for an organization that is not the user's.
    """
    organization = current_organization(slug)
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
        user=user.email if (user := current_account()) else None,
        sign_out_url="/sign-out",
    )
    g.nav = nav
    return Frame(organization, nav, found)
