"""What the frame of every page shows: the names that filters offer."""

from __future__ import annotations

from dataclasses import dataclass

from costlens.store import analytics
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.github import any_pulls
from costlens.store.identity import repositories_of


@dataclass(frozen=True, slots=True)
class Shell:
    teams: tuple[tuple[int, str], ...]
    repositories: tuple[tuple[int, str], ...]
    providers: tuple[str, ...]
    pulls_known: bool


def shell(store: Store, organization_id: int) -> Shell:
    """Teams, repositories and providers of an organization, and whether GitHub's facts have come in."""
    with store.read() as tx:
        return Shell(
            teams=tuple((row.id, row.name) for row in org_store.list_teams(tx, organization_id)),
            repositories=tuple((row.id, row.name) for row in repositories_of(tx, organization_id)),
            providers=tuple(analytics.providers(tx, organization_id)),
            pulls_known=any_pulls(tx, organization_id),
        )
