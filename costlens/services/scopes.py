"""Names of teams and repositories to ids, as filters give them."""

from __future__ import annotations

from collections.abc import Sequence

from costlens.domain.errors import InvalidInput, NotFound
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.identity import find_repositories


def find_scope(
    store: Store, organization_id: int, *, team: str | None, repository: str | None
) -> tuple[int | None, int | None]:
    """(team id, repository id); None: not filtered, 0: `none`. Raises NotFound for a name that is not known."""
    with store.read() as tx:
        team_id = repository_id = None
        if team is not None:
            known = {"none": 0}
            for row in org_store.list_teams(tx, organization_id):
                known |= {row.name.lower(): row.id, row.slug: row.id}
            team_id = known.get(team.lower())
            if team_id is None:
                raise NotFound(f"No team named {team!r}", field="team")
        if repository == "none":
            repository_id = 0
        elif repository is not None:
            repository_id = find_repositories(tx, organization_id, [repository]).get(repository.lower())
            if repository_id is None:
                raise NotFound(f"No repository named {repository!r}", field="repo")
    return team_id, repository_id


def find_bound(
    store: Store, organization_id: int, *, team: str | None, repository: str | None
) -> tuple[int | None, int | None]:
    """The same of what a key or an invitation is bound to; None: to nothing. Raises InvalidInput for `none` too."""
    team_id, repository_id = find_scope(store, organization_id, team=team, repository=repository)
    for id, field in ((team_id, "team"), (repository_id, "repo")):
        if id == 0:
            raise InvalidInput(f"`none` is no {field}; leave {field} out", field=field)
    return team_id, repository_id


def repositories_named(store: Store, organization_id: int, names: Sequence[str]) -> list[int]:
    """The repositories of these names, earlier ones too. Raises NotFound."""
    with store.read() as tx:
        found = find_repositories(tx, organization_id, names)
    for name in names:
        if name.lower() not in found:
            raise NotFound(f"No repository named {name!r}", field="repositories")
    return [found[name.lower()] for name in names]
