"""What the frame of every page shows: the names that filters offer."""

from __future__ import annotations

from dataclasses import dataclass

from costlens.domain.roi import Window
from costlens.store import analytics
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.github import any_pulls
from costlens.store.identity import repositories_of
from costlens.store.organizations import Organization


@dataclass(frozen=True, slots=True)
class Shell:
    teams: tuple[tuple[int, str], ...]
    repositories: tuple[tuple[int, str], ...]
    providers: tuple[str, ...]
    pulls_known: bool
    started: bool  # whether a run has come in


def shell(store: Store, organization_id: int) -> Shell:
    """Teams, repositories and providers of an organization, and what has come in."""
    with store.read() as tx:
        return Shell(
            teams=tuple((row.id, row.name) for row in org_store.list_teams(tx, organization_id)),
            repositories=tuple((row.id, row.name) for row in repositories_of(tx, organization_id)),
            providers=tuple(analytics.providers(tx, organization_id)),
            pulls_known=any_pulls(tx, organization_id),
            started=org_store.has_runs(tx, organization_id),
        )


def role_in(store: Store, organization_id: int, user_id: int) -> str | None:
    """A user's role in an organization: owner, admin or member. None: not a member."""
    with store.read() as tx:
        return org_store.role_of(tx, organization_id, user_id)


def own_demo(store: Store, user_id: int) -> Organization | None:
    """The demo organization that a user owns. None: there is none."""
    with store.read() as tx:
        return next(iter(org_store.list_demos(tx, user_id)), None)


def names_of_runs(store: Store, organization_id: int, window: Window) -> dict[str, list[str]]:
    """Models, environments and tools of the runs of a window, by the filter that offers them; `none`: runs that name
    none.
    """
    dimensions = ("model", "environment", "tool")
    with store.read() as tx:
        found = analytics.names_in_several(tx, organization_id, dimensions, window.start, window.end)
    return {dimension: [name or "none" for name in found.get(dimension, ())] for dimension in dimensions}
