"""Names to ids: repositories by any of their names, people by any of their identities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.names import IDENTITY_KINDS, Identity
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.link_marks import add_marks, mark_all
from costlens.store.lookups import look_up
from costlens.store.rollups import move_sums
from costlens.store.types import among
from costlens.store.upsert import insert_one

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
    No other writer gives these identities to another person before this transaction ends. Raises IntegrityError when
    one has stored an identity of these meanwhile: `Store.transact` then finds its person.
    """
    groups = [tuple(group) for group in dict.fromkeys(map(tuple, wanted)) if group]
    known = _known(tx, organization_id, {identity for group in groups for identity in group})
    result: dict[tuple[Identity, ...], int] = {}
    for group in groups:
        people = sorted({known[identity] for identity in group if identity in known})
        if not people:
            row = {"organization_id": organization_id, "created_at": now}
            people = [insert_one(tx, t.people, row)]
        person = people[0]
        for other in people[1:]:
            merge_people(tx, organization_id, keep=person, drop=other)
            known.update({identity: person for identity, owner in known.items() if owner == other})
            result.update({done: person for done, owner in result.items() if owner == other})
        new = [identity for identity in dict.fromkeys(group) if identity not in known]
        if new:
            head = {"organization_id": organization_id, "person_id": person}
            tx.execute(insert(t.identities), [head | {"kind": one.kind, "value": one.value} for one in new])
        known.update(dict.fromkeys(new, person))
        result[group] = person
    return result


def _known(tx: Tx, organization_id: int, identities: set[Identity]) -> dict[Identity, int]:
    values = sorted({identity.value for identity in identities})
    rows = look_up(tx, _identities, organization=organization_id, kinds=list(IDENTITY_KINDS), names=values)
    return {Identity(kind, value): person for kind, value, person in rows}


def merge_people(tx: Tx, organization_id: int, *, keep: int, drop: int) -> None:
    """Gives everything of one person to another, in every table that names people; rollups keep their sums."""
    copied = _copies(tx, organization_id, keep, drop)
    for table in (t.identities, t.members, t.pull_requests, t.pull_request_reviews, t.commits, t.runs):
        tx.execute(
            update(table)
            .where(table.c.organization_id == organization_id, table.c.person_id == drop)
            .values(person_id=keep)
        )
    move_sums(tx, organization_id, "person", keep=keep, drop=drop)
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
    _mark_person(tx, organization_id, keep, copied)


def _copies(tx: Tx, organization_id: int, keep: int, drop: int) -> set[int]:
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


def _mark_person(tx: Tx, organization_id: int, person_id: int, everything: set[int]) -> None:
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
        select(column.kind, column.value, column.person_id)
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
