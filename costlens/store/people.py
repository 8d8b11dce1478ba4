"""People as a whole: who they are, what they made, and one identity taken away from the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, cast, func, or_, select, type_coerce, union_all, update

from costlens.domain.names import Identity, actor_identities, read_identities
from costlens.domain.people import is_bot
from costlens.store import tables as t
from costlens.store.analytics import values_of
from costlens.store.engine import Tx
from costlens.store.identity import copies, keep_apart, mark_person
from costlens.store.run_changes import Moved
from costlens.store.runs import get_runs
from costlens.store.types import one_of, to_millis
from costlens.store.upsert import insert_one

PAGE = 1_000  # runs that are moved at once


@dataclass(frozen=True, slots=True)
class PersonRow:
    id: int
    name: str | None  # None: no source has told one
    bot: bool
    identities: tuple[tuple[Identity, str | None, bool], ...]  # with the name beside it, and whether it stands apart


def all_people(tx: Tx, organization_id: int, ids: Iterable[int] | None = None) -> list[PersonRow]:
    """People by id with their identities; `ids` None: everybody."""
    person, identity = t.people.c, t.identities.c
    mine = [identity.organization_id == organization_id]
    wanted = [person.organization_id == organization_id]
    if ids is not None:
        chosen = sorted(set(ids))
        mine, wanted = [*mine, one_of(identity.person_id, chosen)], [*wanted, one_of(person.id, chosen)]
    found: dict[int, list[tuple[Identity, str | None, bool]]] = defaultdict(list)
    for row in tx.execute(select(t.identities).where(*mine).order_by(identity.kind, identity.value)):
        found[row.person_id].append((Identity(row.kind, row.value), row.name, row.set_apart))
    return [
        PersonRow(row.id, row.name, row.bot, tuple(found[row.id]))
        for row in tx.execute(select(person.id, person.name, person.bot).where(*wanted).order_by(person.id))
    ]


def all_apart(tx: Tx, organization_id: int) -> set[tuple[int, int]]:
    """Every pair, the smaller id first, of whom somebody said that they are not the same."""
    pair = t.people_apart.c
    query = select(pair.first_id, pair.second_id).where(pair.organization_id == organization_id)
    return {(row.first_id, row.second_id) for row in tx.execute(query)}


def run_sums(tx: Tx, organization_id: int) -> dict[int, tuple[int, int]]:
    """(runs, cost in nano-dollars) by person of all time; 0: runs of nobody."""
    r = t.rollup_dimension.c
    query = (
        select(r.value, func.sum(r.runs), func.sum(r.cost_nanos))
        .where(r.organization_id == organization_id, r.dimension == "person")
        .group_by(r.value)
    )
    return {int(value or 0): (int(runs), int(cost)) for value, runs, cost in tx.execute(query)}


def made(tx: Tx, organization_id: int) -> dict[int, tuple[int, int]]:
    """(commits, pull requests) by person."""
    counts: list[dict[int, int]] = []
    for table in (t.commits, t.pull_requests):
        query = (
            select(table.c.person_id, func.count())
            .where(table.c.organization_id == organization_id, table.c.person_id.is_not(None))
            .group_by(table.c.person_id)
        )
        counts.append({int(person): int(count) for person, count in tx.execute(query)})
    commits, pulls = counts
    return {person: (commits.get(person, 0), pulls.get(person, 0)) for person in commits.keys() | pulls.keys()}


def emails_of_members(tx: Tx, organization_id: int) -> dict[str, str]:
    """Role by the e-mail address of each member."""
    query = (
        select(t.users.c.email, t.members.c.role)
        .join(t.members, t.members.c.user_id == t.users.c.id)
        .where(t.members.c.organization_id == organization_id)
    )
    return {row.email: row.role for row in tx.execute(query)}


def authors_of(tx: Tx, organization_id: int, person_id: int) -> list[tuple[str | None, int, int]]:
    """(author as written, commits, pull requests) of one person."""
    found: dict[str | None, list[int]] = defaultdict(lambda: [0, 0])
    for place, table in enumerate((t.commits, t.pull_requests)):
        query = (
            select(table.c.author, func.count())
            .where(table.c.organization_id == organization_id, table.c.person_id == person_id)
            .group_by(table.c.author)
        )
        for author, count in tx.execute(query):
            found[author][place] = int(count)
    return [(author, commits, pulls) for author, (commits, pulls) in found.items()]


def callers_of(tx: Tx, organization_id: int, person_id: int) -> list[tuple[str | None, str | None, int, int]]:
    """(actor, e-mail address of the key's member, runs, cost in nano-dollars) of one person's runs.

    The address is None where an actor is named, or the key is shared.
    """
    run, found = t.runs.c, defaultdict[tuple[str | None, str | None], list[int]](lambda: [0, 0])
    emails = _key_emails(tx, organization_id)
    for where in _in_parts(organization_id):
        query = select(run.actor, run.api_key_id, func.count(), func.sum(run.cost_nanos))
        query = query.where(*where, run.person_id == person_id)
        for actor, key_id, runs, cost in tx.execute(query.group_by(run.actor, run.api_key_id)):
            sums = found[actor, None if actor else emails.get(key_id)]
            sums[0] += int(runs)
            sums[1] += int(cost or 0)
    return [(actor, email, runs, cost) for (actor, email), (runs, cost) in found.items()]


def keys_of_nobody(tx: Tx, organization_id: int, since: datetime) -> Sequence[Row[Any]]:
    """(key, name, runs, cost in nano-dollars) of the runs since then that are code and nobody's, the dearest first."""
    run, key = t.runs.c, t.api_keys.c
    # A sum, so that SQLite goes by the indexes of repositories and of those that wait, and not by time.
    late = type_coerce(run.occurred_at, BigInteger) + 0 >= to_millis(since)
    parts = [
        select(run.api_key_id, run.cost_nanos).where(*where, run.person_id.is_(None), run.code.is_(True), late)
        for where in _in_parts(organization_id)
    ]
    found = union_all(*parts).subquery("found")
    cost = cast(func.coalesce(func.sum(found.c.cost_nanos), 0), BigInteger)
    return tx.execute(
        select(found.c.api_key_id, key.name, func.count().label("runs"), cost.label("cost"))
        .outerjoin(t.api_keys, key.id == found.c.api_key_id)
        .group_by(found.c.api_key_id, key.name)
        .order_by(cost.desc(), found.c.api_key_id)
    ).all()


def _key_emails(tx: Tx, organization_id: int) -> dict[int, str]:
    """E-mail address of the member of each personal key."""
    key = t.api_keys.c
    query = (
        select(key.id, t.users.c.email)
        .join(t.members, t.members.c.id == key.member_id)
        .join(t.users, t.users.c.id == t.members.c.user_id)
        .where(key.organization_id == organization_id)
    )
    return {row.id: row.email for row in tx.execute(query)}


def _in_parts(organization_id: int) -> list[list[ColumnElement[bool]]]:
    """Runs in parts that do not overlap, of which an index has each person's: those that the linker has seen, by
    repository, and the few that wait for it.
    """
    run = t.runs.c
    mine = [run.organization_id == organization_id]
    # All that runs have ever named, those that are gone too.
    named = values_of(organization_id, "repository").c.value
    repositories = select(cast(func.nullif(named, ""), BigInteger)).where(named.is_not(None))
    return [
        [*mine, run.linked_at.is_not(None), run.repository_id.in_(repositories)],
        [*mine, run.linked_at.is_not(None), run.repository_id.is_(None)],
        [*mine, run.linked_at.is_(None)],
    ]


@dataclass(frozen=True, slots=True)
class Detached:
    person_id: int  # the new one
    runs: int
    commits: int
    pulls: int


def detach(
    tx: Tx,
    organization_id: int,
    person_id: int,
    identities: Sequence[Identity],
    *,
    timezone: str,
    by: str,
    at: datetime,
) -> Detached:
    """Makes these identities a person of their own, who is not the other; what they made goes along.

    Commits that were stored before authors were kept stay where they are. Sums move by the difference, and the linker
    looks at the runs of both again.
    """
    identity = t.identities.c
    person = t.people.c
    row = {"organization_id": organization_id, "created_at": at, "bot": is_bot(identities)}
    new = insert_one(tx, t.people, row)
    # First of all: who stores runs or commits of these identities waits here, or has stored them before.
    for one in identities:
        tx.execute(
            update(t.identities)
            .where(identity.organization_id == organization_id, identity.kind == one.kind, identity.value == one.value)
            .values(person_id=new, set_apart=True)
        )
    names = [name for each in all_people(tx, organization_id, [new]) for _, name, _ in each.identities if name]
    if names:
        tx.execute(update(t.people).where(person.id == new).values(name=names[0]))
    keep_apart(tx, organization_id, person_id, new, by=by, at=at)
    theirs = set(identities)
    counts = [_move_made(tx, organization_id, table, person_id, new, theirs) for table in _AUTHORED]
    _move_members(tx, organization_id, person_id, new, theirs)
    runs = _move_runs(tx, organization_id, timezone, person_id, new, theirs)
    came_apart = copies(tx, organization_id, person_id, new)
    for each in (person_id, new):
        mark_person(tx, organization_id, each, came_apart)
    return Detached(new, runs, counts[0], counts[1])


_AUTHORED = (t.commits, t.pull_requests, t.pull_request_reviews)


def _move_made(tx: Tx, organization_id: int, table: Any, old: int, new: int, theirs: set[Identity]) -> int:
    mine = (table.c.organization_id == organization_id, table.c.person_id == old, table.c.author.is_not(None))
    authors = tx.scalars(select(table.c.author).where(*mine).distinct()).all()
    moving = [author for author in authors if not theirs.isdisjoint(read_identities(author))]
    if not moving:
        return 0
    return tx.execute(update(table).where(*mine, one_of(table.c.author, moving)).values(person_id=new)).rowcount


def _move_members(tx: Tx, organization_id: int, old: int, new: int, theirs: set[Identity]) -> None:
    member = t.members.c
    emails = [one.value for one in theirs if one.kind == "email"]
    users = select(t.users.c.id).where(one_of(t.users.c.email, emails))
    tx.execute(
        update(t.members)
        .where(member.organization_id == organization_id, member.person_id == old, member.user_id.in_(users))
        .values(person_id=new)
    )


def _move_runs(tx: Tx, organization_id: int, timezone: str, old: int, new: int, theirs: set[Identity]) -> int:
    run, emails = t.runs.c, _key_emails(tx, organization_id)
    moving: list[int] = []
    for where in _in_parts(organization_id):
        mine = select(run.id, run.actor, run.api_key_id).where(*where, run.person_id == old)
        for number, actor, key_id in tx.execute(mine):
            who = actor or emails.get(key_id)
            if who and not theirs.isdisjoint(actor_identities(who)):
                moving.append(number)
    for start in range(0, len(moving), PAGE):
        moved = Moved(tx, organization_id, timezone)
        for found in get_runs(tx, organization_id, sorted(moving)[start : start + PAGE], lock=True).values():
            moved.move(found, {"person_id": new}, (), ())  # its links stay as they are until the linker has looked
        moved.write()
    return len(moving)


def marked_repositories(tx: Tx, organization_id: int) -> list[int]:
    """Repositories whose links a change of people may have made old."""
    repository, mark = t.repositories.c, t.link_marks.c
    marked = select(mark.repository_id).where(mark.organization_id == organization_id)
    stale = repository.facts_version != repository.linked_version
    mine = (repository.organization_id == organization_id, or_(repository.id.in_(marked), stale))
    return list(tx.scalars(select(repository.id).where(*mine).order_by(repository.id)))


def unpin(tx: Tx, organization_id: int, people: Sequence[int]) -> None:
    """Takes back that somebody set these people apart from each other."""
    pair, identity = t.people_apart.c, t.identities.c
    both = (one_of(pair.first_id, people), one_of(pair.second_id, people))
    if tx.execute(t.people_apart.delete().where(pair.organization_id == organization_id, *both)).rowcount:
        tx.execute(
            update(t.identities)
            .where(identity.organization_id == organization_id, one_of(identity.person_id, people))
            .values(set_apart=False)
        )
