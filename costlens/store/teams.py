"""Teams with their members and repositories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import keep_first


def get_team(tx: Tx, organization_id: int, team_id: int) -> Row[Any] | None:
    """A team. None: not of this organization."""
    team = t.teams.c
    return tx.execute(select(t.teams).where(team.organization_id == organization_id, team.id == team_id)).first()


def team_by_slug(tx: Tx, organization_id: int, slug: str) -> int | None:
    """The team of this slug. None: there is none."""
    team = t.teams.c
    return tx.scalar(select(team.id).where(team.organization_id == organization_id, team.slug == slug))


def change_team(tx: Tx, organization_id: int, team_id: int, values: dict[str, Any]) -> None:
    """Sets these columns of a team."""
    team = t.teams.c
    tx.execute(update(t.teams).where(team.organization_id == organization_id, team.id == team_id).values(**values))


def delete_team(tx: Tx, organization_id: int, team_id: int) -> None:
    """Removes a team; its runs keep it as a team that is gone, its repositories and keys are of no team."""
    for table in (t.repositories, t.api_keys):
        tx.execute(
            update(table)
            .where(table.c.organization_id == organization_id, table.c.team_id == team_id)
            .values(team_id=None)
        )
    team = t.teams.c
    tx.execute(delete(t.teams).where(team.organization_id == organization_id, team.id == team_id))


def teams_of_members(tx: Tx, organization_id: int) -> Sequence[tuple[int, int, str]]:
    """(member, team, name of the team), by name."""
    member, team = t.team_members.c, t.teams.c
    query = (
        select(member.member_id, team.id, team.name)
        .join(t.teams, team.id == member.team_id)
        .where(team.organization_id == organization_id)
        .order_by(team.name)
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def set_team_members(tx: Tx, organization_id: int, team_id: int, members: Iterable[int]) -> None:
    """Makes these the members of a team; ids of another organization are left out."""
    member = t.members.c
    wanted = sorted(set(members))
    own = tx.scalars(select(member.id).where(member.organization_id == organization_id, member.id.in_(wanted))).all()
    tx.execute(
        delete(t.team_members).where(t.team_members.c.team_id == team_id, t.team_members.c.member_id.not_in(own))
    )
    keep_first(tx, t.team_members, [{"team_id": team_id, "member_id": one} for one in own])


def set_team_repositories(tx: Tx, organization_id: int, team_id: int, repositories: Iterable[int]) -> None:
    """Makes these the repositories of a team; a repository has one team."""
    repository = t.repositories.c
    mine = repository.organization_id == organization_id
    wanted = sorted(set(repositories))
    tx.execute(
        update(t.repositories)
        .where(mine, repository.team_id == team_id, repository.id.not_in(wanted))
        .values(team_id=None)
    )
    tx.execute(update(t.repositories).where(mine, repository.id.in_(wanted)).values(team_id=team_id))


def team_counts(tx: Tx, organization_id: int) -> dict[str, dict[int, int]]:
    """How many members, repositories and valid keys each team has: `members`, `repositories`, `keys` by team."""
    repository, key, team = t.repositories.c, t.api_keys.c, t.teams.c
    queries = {
        "members": select(t.team_members.c.team_id, func.count())
        .join(t.teams, team.id == t.team_members.c.team_id)
        .where(team.organization_id == organization_id)
        .group_by(t.team_members.c.team_id),
        "repositories": select(repository.team_id, func.count())
        .where(repository.organization_id == organization_id, repository.team_id.is_not(None))
        .group_by(repository.team_id),
        "keys": select(key.team_id, func.count())
        .where(key.organization_id == organization_id, key.team_id.is_not(None), key.revoked_at.is_(None))
        .group_by(key.team_id),
    }
    return {name: {row[0]: row[1] for row in tx.execute(query)} for name, query in queries.items()}
