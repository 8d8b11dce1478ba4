"""Teams: made, renamed and deleted, with their members, repositories and hourly cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from costlens.domain.access import Member
from costlens.domain.errors import Conflict, NotFound
from costlens.domain.names import slug
from costlens.services.acting import acting, checked_hourly_cost, checked_name, note
from costlens.services.keys import forget_trusted
from costlens.store import organizations as org_store
from costlens.store import teams as team_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import repositories_of
from costlens.store.members import list_members


@dataclass(frozen=True, slots=True)
class TeamLine:
    """One line of the list of teams."""

    id: int
    name: str
    hourly_cost_cents: int | None  # None: the organization's holds
    members: int
    repositories: int
    keys: int  # that are bound to it and not revoked


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be in a team."""

    id: int
    name: str
    chosen: bool
    note: str | None  # the team that it is of now. None: of none, or of this one


@dataclass(frozen=True, slots=True)
class TeamDetails:
    team: TeamLine
    members: Sequence[Choice]
    repositories: Sequence[Choice]


def list_teams(store: Store, organization_id: int) -> Sequence[TeamLine]:
    """Teams of an organization by name."""
    with store.read() as tx:
        return _lines(tx, organization_id)


def _lines(tx: Tx, organization_id: int) -> list[TeamLine]:
    counts = team_store.team_counts(tx, organization_id)
    return [
        TeamLine(
            row.id,
            row.name,
            row.hourly_cost_cents,
            *(counts[what].get(row.id, 0) for what in ("members", "repositories", "keys")),
        )
        for row in org_store.list_teams(tx, organization_id)
    ]


def team_details(store: Store, organization_id: int, team_id: int) -> TeamDetails:
    """A team with everybody and everything that can be in it. Raises NotFound."""
    with store.read() as tx:
        lines = {line.id: line for line in _lines(tx, organization_id)}
        if team_id not in lines:
            raise NotFound("No such team")
        inside = {member for member, team, _ in team_store.teams_of_members(tx, organization_id) if team == team_id}
        members = [
            Choice(row.id, row.name or row.email, row.id in inside, row.email if row.name else None)
            for row in list_members(tx, organization_id)
        ]
        repositories = [
            Choice(
                row.id,
                row.name,
                row.team_id == team_id,
                lines[row.team_id].name if row.team_id in lines and row.team_id != team_id else None,
            )
            for row in repositories_of(tx, organization_id)
        ]
    return TeamDetails(lines[team_id], members, repositories)


def create_team(store: Store, by: Member, name: str, hourly_cost: str = "", *, now: datetime | None = None) -> int:
    """Makes a team and answers its id. Raises Forbidden, InvalidInput, Conflict."""
    at = now or datetime.now(UTC)
    name, cents = checked_name(name, "A team"), checked_hourly_cost(hourly_cost)
    with store.write() as tx:
        who = _manager(tx, by)
        _check_free(tx, by.organization_id, name, None)
        values = {
            "organization_id": by.organization_id,
            "name": name,
            "slug": slug(name),
            "hourly_cost_cents": cents,
            "created_at": at,
        }
        team_id = org_store.create_team(tx, values)
        note(tx, who, at, "team.created", name, hourlyCostCents=cents)
    return team_id


def change_team(
    store: Store, by: Member, team_id: int, name: str, hourly_cost: str, *, now: datetime | None = None
) -> None:
    """Renames a team and sets its hourly cost. Raises Forbidden, NotFound, InvalidInput, Conflict."""
    at = now or datetime.now(UTC)
    name, cents = checked_name(name, "A team"), checked_hourly_cost(hourly_cost)
    with store.write() as tx:
        who = _manager(tx, by)
        row = _team(tx, by, team_id)
        _check_free(tx, by.organization_id, name, team_id)
        after = {"name": name, "slug": slug(name), "hourly_cost_cents": cents}
        changed = {key: value for key, value in after.items() if row._mapping[key] != value}
        if changed:
            team_store.change_team(tx, by.organization_id, team_id, changed)
            note(tx, who, at, "team.changed", row.name, **changed)


def delete_team(store: Store, by: Member, team_id: int, *, now: datetime | None = None) -> str:
    """Deletes a team and answers its name; what its runs cost stays in every report. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _manager(tx, by)
        row = _team(tx, by, team_id)
        team_store.delete_team(tx, by.organization_id, team_id)
        note(tx, who, at, "team.deleted", row.name)
    forget_trusted(store)  # keys were bound to it
    return str(row.name)


def set_members(store: Store, by: Member, team_id: int, members: Iterable[int], *, now: datetime | None = None) -> None:
    """Makes these the members of a team; one may be in several. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _manager(tx, by)
        row = _team(tx, by, team_id)
        people = {line.id: line.email for line in list_members(tx, by.organization_id)}
        before = {member for member, team, _ in team_store.teams_of_members(tx, by.organization_id) if team == team_id}
        after = {member for member in members if member in people}
        if before != after:
            team_store.set_team_members(tx, by.organization_id, team_id, after)
            added, removed = (sorted(people[one] for one in some) for some in (after - before, before - after))
            note(tx, who, at, "team.members_changed", row.name, added=added, removed=removed)


def set_repositories(
    store: Store, by: Member, team_id: int, repositories: Iterable[int], *, now: datetime | None = None
) -> None:
    """Makes these the repositories of a team, taken from the team that had them. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _manager(tx, by)
        row = _team(tx, by, team_id)
        known = {one.id: one for one in repositories_of(tx, by.organization_id)}
        before = {one for one, facts in known.items() if facts.team_id == team_id}
        after = {one for one in repositories if one in known}
        if before != after:
            team_store.set_team_repositories(tx, by.organization_id, team_id, after)
            added, removed = (sorted(known[one].name for one in some) for some in (after - before, before - after))
            note(tx, who, at, "team.repositories_changed", row.name, added=added, removed=removed)


def _manager(tx: Tx, by: Member) -> Member:
    who = acting(tx, by)
    who.must("manage_teams")
    return who


def _team(tx: Tx, by: Member, team_id: int) -> Any:
    row = team_store.get_team(tx, by.organization_id, team_id)
    if row is None:
        raise NotFound("No such team")
    return row


def _check_free(tx: Tx, organization_id: int, name: str, team_id: int | None) -> None:
    found = team_store.team_by_slug(tx, organization_id, slug(name))
    if slug(name) == "none":  # what filters call the absence of a team
        raise Conflict("A team cannot be called none", field="name")
    if found is not None and found != team_id:
        raise Conflict(f"There is a team named like {name!r} already", field="name")
