"""Names to ids: repositories by any of their names, people by any of their identities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, insert, or_, select, update

from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.names import IDENTITY_KINDS, Identity, without_shared
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.link_marks import add_marks, mark_all
from costlens.store.lookups import look_up
from costlens.store.moved_sums import move_sums
from costlens.store.organizations import add_audit
from costlens.store.types import among, one_of
from costlens.store.upsert import insert_one, keep_first

# Whatever names a person by a column `person_id`, but for the sums; in the order in which the linker locks them.
PERSON_TABLES = (t.identities, t.members, t.runs, t.pull_requests, t.pull_request_reviews, t.commits)
CHUNK = 400  # values in one IN list: SQLite takes 32,766 parameters, plans stay readable with fewer


def repository_ids(tx: Tx, organization_id: int, names: Iterable[str], now: datetime) -> dict[str, int]:
    """Repository id of each owner/name as spelled, and of its lower-case form; unknown ones are made."""
    spelled = sorted(set(names))
    wanted = {name.lower(): name for name in reversed(spelled)}
    found = find_repositories(tx, organization_id, wanted, lock=True)
    for key in sorted(wanted.keys() - found.keys()):
        row = {"organization_id": organization_id, "name": wanted[key], "created_at": now}
        repository_id = insert_one(tx, t.repositories, row)
        alias = {"organization_id": organization_id, "name": key, "repository_id": repository_id}
        tx.execute(insert(t.repository_aliases).values(alias))
        found[key] = repository_id
    return found | {name: found[name.lower()] for name in spelled}


def find_repositories(tx: Tx, organization_id: int, names: Iterable[str], *, lock: bool = False) -> dict[str, int]:
    """Repository id of each lower-case name that is known.

    `lock`: no other writer gives a name to another repository before this transaction ends. Who stores runs of the
    repository needs it.
    """
    query = _repositories_locked if lock else _repositories
    return dict(look_up(tx, query, organization=organization_id, names=[name.lower() for name in names]))


def repositories_of(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """All repositories of an organization by name."""
    return tx.execute(
        select(t.repositories)
        .where(t.repositories.c.organization_id == organization_id)
        .order_by(t.repositories.c.name)
    ).all()


def person_ids(
    tx: Tx, organization_id: int, wanted: Iterable[Sequence[Identity]], now: datetime
) -> dict[tuple[Identity, ...], int]:
    """Person of each set of identities that belong to one human.

    Unknown identities join the person that another of the set names; a set that nobody knows makes a person.
    A set that names several people merges them into the oldest: identities are one person's by what GitHub says.
    What a person decided comes first: people who are not the same stay apart, the first identity of the set deciding
    whose it is; and an identity that was set apart says whose the set is, but nothing of the others.
    No other writer gives these identities to another person before this transaction ends. Raises IntegrityError when
    one has stored an identity of these meanwhile: `Store.transact` then finds its person.
    """
    groups = {tuple(group): without_shared(group) for group in map(tuple, wanted) if group}
    known, apart = _known(tx, organization_id, {identity for group in groups.values() for identity in group})
    result: dict[tuple[Identity, ...], int] = {}
    for whole, group in groups.items():
        others = [identity for identity in group if identity not in apart]
        if others:
            people = list(dict.fromkeys(known[identity] for identity in others if identity in known))
            if not people:
                row = {"organization_id": organization_id, "created_at": now}
                people = [insert_one(tx, t.people, row)]
            person, *merged = _one_of(tx, organization_id, people)
            for other in merged:
                merge_people(tx, organization_id, keep=person, drop=other)
                _note_merge(tx, organization_id, group, now)
                known.update({identity: person for identity, owner in known.items() if owner == other})
                result.update({done: person for done, owner in result.items() if owner == other})
            new = [identity for identity in dict.fromkeys(others) if identity not in known]
            if new:
                head = {"organization_id": organization_id, "person_id": person}
                tx.execute(insert(t.identities), [head | {"kind": one.kind, "value": one.value} for one in new])
            known.update(dict.fromkeys(new, person))
        result[whole] = known[next((identity for identity in group if identity in apart), group[0])]
    return result


def _known(tx: Tx, organization_id: int, identities: set[Identity]) -> tuple[dict[Identity, int], set[Identity]]:
    """The person of each identity that is known, and the identities that were set apart."""
    values = sorted({identity.value for identity in identities})
    rows = look_up(tx, _identities, organization=organization_id, kinds=list(IDENTITY_KINDS), names=values)
    known = {Identity(kind, value): int(person) for kind, value, person, _ in rows}
    return known, {Identity(kind, value) for kind, value, _, set_apart in rows if set_apart}


def _one_of(tx: Tx, organization_id: int, people: Sequence[int]) -> list[int]:
    """The people to be made one, the oldest first: the first given, and those who may be the same."""
    if len(people) == 1:
        return [*people]
    apart = apart_pairs(tx, organization_id, people)
    found: list[int] = []
    for person in people:
        if all((min(person, other), max(person, other)) not in apart for other in found):
            found.append(person)
    return sorted(found)


def apart_pairs(tx: Tx, organization_id: int, people: Sequence[int]) -> set[tuple[int, int]]:
    """Pairs among these people, the smaller id first, of whom somebody said that they are not the same."""
    pair = t.people_apart.c
    mine = (pair.organization_id == organization_id, one_of(pair.first_id, people), one_of(pair.second_id, people))
    return {(row.first_id, row.second_id) for row in tx.execute(select(pair.first_id, pair.second_id).where(*mine))}


def tell_names(tx: Tx, organization_id: int, names: Mapping[Identity, str]) -> None:
    """Keeps the name that a source tells beside an identity, where none was told before."""
    identity = t.identities.c
    values = {one.value for one in names}
    # With its kinds the primary key leads to them.
    kinds = {one.kind for one in names}
    mine = (
        identity.organization_id == organization_id,
        identity.kind.in_(kinds),
        one_of(identity.value, values),
        identity.name.is_(None),
    )
    for kind, value in tx.execute(select(identity.kind, identity.value).where(*mine)).all():
        if name := names.get(Identity(kind, value)):
            tx.execute(
                update(t.identities)
                .where(identity.organization_id == organization_id, identity.kind == kind, identity.value == value)
                .values(name=name)
            )


def _note_merge(tx: Tx, organization_id: int, group: Sequence[Identity], now: datetime) -> None:
    named = [f"{one.kind} {one.value}" for one in group]
    details = {"why": "a commit or an account names both", "identities": named}
    add_audit(tx, organization_id, at=now, actor="CostLens", action="person.merged", subject=named[0], details=details)


def merge_people(tx: Tx, organization_id: int, *, keep: int, drop: int) -> None:
    """Gives everything of one person to another, in every table that names people; rollups keep their sums."""
    copied = copies(tx, organization_id, keep, drop)
    for table in PERSON_TABLES:
        tx.execute(
            update(table)
            .where(table.c.organization_id == organization_id, table.c.person_id == drop)
            .values(person_id=keep)
        )
    move_sums(tx, organization_id, "person", keep=keep, drop=drop)
    _move_pairs(tx, organization_id, keep=keep, drop=drop)
    person = t.people.c
    both = {
        row.id: row
        for row in tx.execute(
            select(t.people).where(person.organization_id == organization_id, person.id.in_((keep, drop)))
        )
    }
    if keep in both and drop in both:
        name, bot = both[keep].name or both[drop].name, both[keep].bot or both[drop].bot
        tx.execute(update(t.people).where(person.id == keep).values(name=name, bot=bot))
    tx.execute(t.people.delete().where(person.organization_id == organization_id, person.id == drop))
    mark_person(tx, organization_id, keep, copied)


def _move_pairs(tx: Tx, organization_id: int, *, keep: int, drop: int) -> None:
    """Who is not the same as the one is not the same as the other either."""
    pair = t.people_apart.c
    mine = (pair.organization_id == organization_id, or_(pair.first_id == drop, pair.second_id == drop))
    for row in tx.execute(select(t.people_apart).where(*mine)).all():
        other = row.first_id + row.second_id - drop
        if other != keep:
            keep_apart(tx, organization_id, keep, other, by=row.decided_by, at=row.decided_at)
    tx.execute(delete(t.people_apart).where(*mine))


def keep_apart(tx: Tx, organization_id: int, one: int, other: int, *, by: str, at: datetime) -> None:
    """Keeps somebody's word that two people are not the same."""
    pair = {"first_id": min(one, other), "second_id": max(one, other)}
    keep_first(tx, t.people_apart, [pair | {"organization_id": organization_id, "decided_by": by, "decided_at": at}])


def copies(tx: Tx, organization_id: int, keep: int, drop: int) -> set[int]:
    """Repositories where a commit of one looks like a copy of a commit of the other, once they are one person."""
    first, second = t.commits, t.commits.alias()
    return set(
        tx.scalars(
            select(first.c.repository_id)
            .distinct()
            .join(
                second,
                (second.c.repository_id == first.c.repository_id) & (second.c.authored_at == first.c.authored_at),
            )
            .where(first.c.organization_id == organization_id, first.c.person_id == drop, second.c.person_id == keep)
        )
    )


def mark_person(tx: Tx, organization_id: int, person_id: int, everything: set[int]) -> None:
    """Puts a person's runs before the linker again, and every run of the repositories where copies came to light."""
    run, repository = t.runs.c, t.repositories.c
    seen = select(run.id).where(
        run.organization_id == organization_id,
        run.repository_id == repository.id,
        run.person_id == person_id,
        run.linked_at.is_not(None),
    )
    query = select(repository.id).where(
        repository.organization_id == organization_id, repository.imported_at.is_not(None), seen.exists()
    )
    for repository_id in sorted({*tx.scalars(query)} | everything):
        if repository_id in everything:
            mark_all(tx, organization_id, repository_id)
        else:
            add_marks(tx, organization_id, repository_id, [Mark(MarkKind.PERSON, str(person_id))])


def person_teams(tx: Tx, organization_id: int, people: Iterable[int]) -> dict[int, int]:
    """Team of each person who is a member of one; of several, the oldest."""
    return dict(look_up(tx, _person_teams, organization=organization_id, people=list(people)))


def member_people(tx: Tx, organization_id: int, members: Iterable[int]) -> dict[int, int | None]:
    """Who each member is among the people that runs and commits name. None: neither have named them yet."""
    return dict(look_up(tx, _member_people, organization=organization_id, members=list(members)))


def _members() -> Any:
    """Members with their account, and the identity that its e-mail address is, if known."""
    identity = t.identities.c
    mine = (
        (identity.organization_id == t.members.c.organization_id)
        & (identity.kind == "email")
        & (identity.value == t.users.c.email)
    )
    return t.members.join(t.users, t.users.c.id == t.members.c.user_id).outerjoin(t.identities, mine)


def _person_of_member() -> Any:
    return func.coalesce(t.members.c.person_id, t.identities.c.person_id)


def repository_teams(tx: Tx, organization_id: int, repositories: Iterable[int]) -> dict[int, int]:
    """Team by repository, for those that have one."""
    return dict(look_up(tx, _repository_teams, organization=organization_id, repositories=list(repositories)))


def _repositories() -> Select[Any]:
    alias = t.repository_aliases.c
    return select(alias.name, alias.repository_id).where(
        alias.organization_id == bindparam("organization"), among(alias.name, "names")
    )


def _repositories_locked() -> Select[Any]:
    return _repositories().with_for_update(read=True)


def _identities() -> Select[Any]:
    column = t.identities.c
    return (
        select(column.kind, column.value, column.person_id, column.set_apart)
        .where(
            column.organization_id == bindparam("organization"),
            among(column.kind, "kinds"),
            among(column.value, "names"),
        )
        .with_for_update(read=True)
    )


def _person_teams() -> Select[Any]:
    person = _person_of_member()
    return (
        select(person.label("person_id"), t.team_members.c.team_id)
        .select_from(_members())
        .join(t.team_members, t.team_members.c.member_id == t.members.c.id)
        .where(t.members.c.organization_id == bindparam("organization"), among(person, "people"))
        .order_by(t.team_members.c.team_id.desc())
    )


def _member_people() -> Select[Any]:
    return (
        select(t.members.c.id, _person_of_member().label("person_id"))
        .select_from(_members())
        .where(
            t.members.c.organization_id == bindparam("organization"),
            among(t.members.c.id, "members"),
        )
    )


def _repository_teams() -> Select[Any]:
    column = t.repositories.c
    return select(column.id, column.team_id).where(
        column.organization_id == bindparam("organization"),
        among(column.id, "repositories"),
        column.team_id.is_not(None),
    )
