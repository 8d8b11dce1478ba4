"""People and their identities: who may be one human, and an owner's word on it: one, not the same, or apart again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.domain.access import Member
from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.names import Identity, actor_identities, read_identities
from costlens.domain.people import KnownPerson, is_bot, label, suggest
from costlens.queue import JobQueue
from costlens.services.acting import acting
from costlens.store import people as people_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import keep_apart, merge_people
from costlens.store.members import lock_organization
from costlens.store.organizations import add_audit, get_organization
from costlens.store.people import PersonRow

NOBODY_FOR = timedelta(days=90)  # how far back runs of nobody are looked at

By = Member | str  # a member on the pages; else what the audit log calls a key that may change settings


@dataclass(frozen=True, slots=True)
class PersonLine:
    """One person in the list."""

    id: int
    label: str
    bot: bool
    identities: tuple[Identity, ...]
    role: str | None  # in the organization. None: no member has one of the addresses
    runs: int
    cost_nanos: int
    commits: int
    pulls: int


@dataclass(frozen=True, slots=True)
class SuggestionLine:
    first: PersonLine
    second: PersonLine
    evidence: str  # a sentence without its stop


@dataclass(frozen=True, slots=True)
class NobodyLine:
    """Runs of one key that name nobody."""

    key: str | None  # its name. None: imported on the server
    runs: int
    cost_nanos: int


@dataclass(frozen=True, slots=True)
class People:
    """Everybody, the dearest first, and what an owner can put right."""

    lines: tuple[PersonLine, ...]
    suggestions: tuple[SuggestionLine, ...]
    strangers: tuple[PersonLine, ...]  # who have runs, but no commit and no pull request
    nobody: tuple[NobodyLine, ...]  # of the last days, see NOBODY_FOR

    def authors(self) -> list[PersonLine]:
        """Who has commits or pull requests, by name: whom a stranger may be."""
        return _authors(self.lines)


@dataclass(frozen=True, slots=True)
class IdentityLine:
    """An identity of a person, and what names it."""

    identity: Identity
    name: str | None  # that a source told beside it. None: none did
    set_apart: bool  # somebody took it away from another person
    runs: int
    cost_nanos: int
    commits: int
    pulls: int


@dataclass(frozen=True, slots=True)
class PersonDetails:
    person: PersonLine
    identities: tuple[IdentityLine, ...]


def people(store: Store, organization_id: int, *, now: datetime | None = None) -> People:
    """Everybody of an organization with suggestions, strangers and runs of nobody."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        rows = people_store.all_people(tx, organization_id)
        lines = {line.id: line for line in _lines(tx, organization_id, rows)}
        apart = people_store.all_apart(tx, organization_id)
        nobody = people_store.keys_of_nobody(tx, organization_id, at - NOBODY_FOR)
    known = [KnownPerson(row.id, lines[row.id].identities, _names(row), lines[row.id].bot) for row in rows]
    ordered = sorted(lines.values(), key=lambda one: (-one.cost_nanos, one.label.casefold(), one.id))
    return People(
        lines=tuple(ordered),
        suggestions=tuple(
            SuggestionLine(lines[one.first], lines[one.second], ", ".join(one.evidence))
            for one in suggest(known, apart)
        ),
        strangers=tuple(one for one in ordered if one.runs and not one.commits and not one.pulls and not one.bot),
        nobody=tuple(NobodyLine(row.name, int(row.runs), int(row.cost)) for row in nobody),
    )


def authors(store: Store, organization_id: int) -> list[PersonLine]:
    """Who has commits or pull requests, by name."""
    with store.read() as tx:
        return _authors(_lines(tx, organization_id, people_store.all_people(tx, organization_id)))


def _authors(lines: Iterable[PersonLine]) -> list[PersonLine]:
    found = (one for one in lines if (one.commits or one.pulls) and not one.bot)
    return sorted(found, key=lambda one: one.label.casefold())


def matching(lines: Iterable[PersonLine], text: str) -> list[PersonLine]:
    """The people of whom a name or an identity holds this text."""
    wanted = text.strip().casefold()
    return [
        one
        for one in lines
        if wanted in one.label.casefold() or any(wanted in identity.value for identity in one.identities)
    ]


def person(store: Store, organization_id: int, person_id: int) -> PersonDetails:
    """One person with what names each identity. Raises NotFound."""
    with store.read() as tx:
        rows = people_store.all_people(tx, organization_id, [person_id])
        if not rows:
            raise NotFound("No such person; it may be one with another by now")
        (line,) = _lines(tx, organization_id, rows)
        made, called = (
            defaultdict[Identity, list[int]](lambda: [0, 0]),
            defaultdict[Identity, list[int]](lambda: [0, 0]),
        )
        for author, commits, pulls in people_store.authors_of(tx, organization_id, person_id):
            for identity in read_identities(author) if author else ():
                made[identity][0] += commits
                made[identity][1] += pulls
        for actor, email, runs, cost in people_store.callers_of(tx, organization_id, person_id):
            who = actor or email
            for identity in actor_identities(who) if who else ():
                called[identity][0] += runs
                called[identity][1] += cost
    identities = tuple(
        IdentityLine(one, name, set_apart, *called[one], *made[one]) for one, name, set_apart in rows[0].identities
    )
    return PersonDetails(line, identities)


def merge(store: Store, organization_id: int, by: By, first: int, second: int, *, now: datetime | None = None) -> str:
    """Makes two people one, the older; answers what that one is called.

    Every sync keeps it so, and it takes back that they were kept apart. Raises Forbidden, NotFound, InvalidInput.
    """
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> str:
        who = _actor(tx, organization_id, by)
        keep, drop = _pair(tx, organization_id, first, second)
        people_store.unpin(tx, organization_id, [keep.id, drop.id])
        merge_people(tx, organization_id, keep=keep.id, drop=drop.id)
        details = {"merged": _label(drop), "identities": [f"{one.kind} {one.value}" for one, _, _ in drop.identities]}
        add_audit(tx, organization_id, at=at, actor=who, action="person.merged", subject=_label(keep), details=details)
        return _label(keep)

    return store.transact(work)


def dismiss(
    store: Store, organization_id: int, by: By, first: int, second: int, *, now: datetime | None = None
) -> tuple[str, str]:
    """Keeps that two people are not the same: nothing suggests or merges them again, until somebody does.

    Answers what they are called. Raises Forbidden, NotFound, InvalidInput.
    """
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> tuple[str, str]:
        who = _actor(tx, organization_id, by)
        one, other = _pair(tx, organization_id, first, second)
        keep_apart(tx, organization_id, one.id, other.id, by=who, at=at)
        details = {"other": _label(other)}
        add_audit(
            tx, organization_id, at=at, actor=who, action="person.kept_apart", subject=_label(one), details=details
        )
        return _label(one), _label(other)

    return store.transact(work)


def split(
    store: Store,
    organization_id: int,
    by: By,
    person_id: int,
    identities: Sequence[Identity],
    *,
    now: datetime | None = None,
) -> people_store.Detached:
    """Makes some identities of a person a person of their own, with the runs, commits and reviews that name them.

    Every sync keeps it so. Raises Forbidden, NotFound, or InvalidInput where none or all are chosen.
    """
    at = now or datetime.now(UTC)
    chosen = list(dict.fromkeys(identities))

    def work(tx: Tx) -> people_store.Detached:
        who = _actor(tx, organization_id, by)
        organization = get_organization(tx, organization_id)
        rows = people_store.all_people(tx, organization_id, [person_id])
        if not rows or organization is None:
            raise NotFound("No such person; it may be one with another by now")
        theirs = {one for one, _, _ in rows[0].identities}
        if unknown := [one for one in chosen if one not in theirs]:
            raise InvalidInput(f"{unknown[0].value} is not an identity of this person", field="identities")
        if not chosen or len(chosen) == len(theirs):
            raise InvalidInput("Choose some of the identities, but not all", field="identities")
        done = people_store.detach(
            tx, organization_id, person_id, chosen, timezone=organization.timezone, by=who, at=at
        )
        details = {"identities": [f"{one.kind} {one.value}" for one in chosen], "runs": done.runs}
        add_audit(
            tx, organization_id, at=at, actor=who, action="person.split", subject=_label(rows[0]), details=details
        )
        return done

    return store.transact(work)


def link_soon(store: Store, queue: JobQueue, organization_id: int) -> None:
    """Asks for linking passes of what a change of people marked; the sweeper finds it where the queue is away."""
    with store.read() as tx:
        waiting = people_store.marked_repositories(tx, organization_id)
    for repository_id in waiting:
        queue.link_soon(organization_id, repository_id)


def _actor(tx: Tx, organization_id: int, by: By) -> str:
    """What the audit log calls who does this; others who change this organization's people wait. Raises Forbidden."""
    if isinstance(by, str):
        lock_organization(tx, organization_id)
        return by
    who = acting(tx, by)
    who.must("manage_people")
    return who.email


def _pair(tx: Tx, organization_id: int, first: int, second: int) -> tuple[PersonRow, PersonRow]:
    """Two people, the older first. Raises NotFound, InvalidInput."""
    if first == second:
        raise InvalidInput("Choose two different people", field="people")
    rows = people_store.all_people(tx, organization_id, [first, second])
    if len(rows) != 2:
        raise NotFound("No such person; it may be one with another by now")
    return rows[0], rows[1]


def _names(row: PersonRow) -> tuple[str, ...]:
    told = (row.name, *(name for _, name, _ in row.identities))
    return tuple(dict.fromkeys(name for name in told if name))


def _label(row: PersonRow) -> str:
    return label(_names(row)[:1], [one for one, _, _ in row.identities])


def _lines(tx: Tx, organization_id: int, rows: Sequence[PersonRow]) -> list[PersonLine]:
    sums, made = people_store.run_sums(tx, organization_id), people_store.made(tx, organization_id)
    roles = people_store.emails_of_members(tx, organization_id)
    lines = []
    for row in rows:
        identities = tuple(one for one, _, _ in row.identities)
        role = next((roles[one.value] for one in identities if one.kind == "email" and one.value in roles), None)
        runs, cost = sums.get(row.id, (0, 0))
        commits, pulls = made.get(row.id, (0, 0))
        bot = row.bot or is_bot(identities)
        lines.append(PersonLine(row.id, _label(row), bot, identities, role, runs, cost, commits, pulls))
    return lines
