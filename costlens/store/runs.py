"""Runs: written once, merged by identity, read one by one or by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, bindparam, func, select, tuple_, type_coerce, update

from costlens.domain.usage import Usage, UsageQuality
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.link_marks import mark_mates
from costlens.store.lookups import look_up
from costlens.store.plans import checked
from costlens.store.types import among, one_of, to_millis
from costlens.store.upsert import insert_many, insert_tuples

RunRow = Mapping[str, Any]
Key = tuple[str, str]  # kind, value

_WAITING = 500  # runs of one session that wait for the linker
_INDEXED = {"repository_id", "session_id", "prompt_id", "pull_request_id"}  # filters that have an index of their own
_KEY_COLUMNS = ("organization_id", "kind", "value", "run_id", "content_hash")


@dataclass(frozen=True, slots=True)
class StoredKey:
    run_id: int
    content_hash: bytes | None  # None: this kind does not compare content


def usage_of(run: RunRow) -> Usage:
    """The usage columns of a run."""
    counts = {name: run[name] for name in t.USAGE_COLUMNS}
    return Usage(**counts, quality=UsageQuality(run["usage_quality"]))


def find_keys(tx: Tx, organization_id: int, keys: Iterable[Key]) -> dict[Key, StoredKey]:
    """The run that holds each key."""
    by_kind: dict[str, list[str]] = {}
    for kind, value in keys:
        by_kind.setdefault(kind, []).append(value)
    found: dict[Key, StoredKey] = {}
    for kind, values in by_kind.items():
        rows = look_up(tx, _keys, organization=organization_id, kind=kind, values=values)
        found.update({(kind, value): StoredKey(run_id, digest) for value, run_id, digest in rows})
    return found


def _keys() -> Select[Any]:
    column = t.run_keys.c
    return select(column.value, column.run_id, column.content_hash).where(
        column.organization_id == bindparam("organization"),
        column.kind == bindparam("kind"),
        among(column.value, "values"),
    )


def insert_runs(
    tx: Tx, organization_id: int, rows: Sequence[RunRow], keys: Iterable[tuple[str, str, int, bytes | None]]
) -> None:
    """New runs with their keys (kind, value, run, content hash), whose uniqueness holds against every other writer.

    Raises IntegrityError when another writer has stored one of the keys; keys go in by order, so that two writers of
    the same keys never wait for each other in a circle.
    """
    insert_many(tx, t.runs, rows)
    insert_tuples(tx, t.run_keys, _KEY_COLUMNS, [(organization_id, *key) for key in sorted(keys)])


def change_run(tx: Tx, organization_id: int, run_id: int, values: Mapping[str, Any]) -> None:
    """Sets these columns of a run. A run that leaves its session, or its place in it, has the rest looked at again."""
    if values.keys() & {"session_id", "occurred_at", "repository_id"}:
        mark_mates(tx, organization_id, [run_id])
    tx.execute(
        update(t.runs).where(t.runs.c.organization_id == organization_id, t.runs.c.id == run_id).values(**values)
    )


def get_runs(tx: Tx, organization_id: int, run_ids: Iterable[int], *, lock: bool = False) -> dict[int, dict[str, Any]]:
    """Whole rows by id; absent ones and another organization's are left out.

    `lock`: no other writer changes them before this transaction ends. Who moves sums by a run's difference needs it.
    """
    run_ids = set(run_ids)
    if not run_ids:
        return {}
    query = (
        select(t.runs)
        .where(checked(t.runs.c.organization_id, organization_id), one_of(t.runs.c.id, run_ids))
        .order_by(t.runs.c.id)  # locked in this order, so that two writers never wait for each other in a circle
    )
    # SQLite has one writer at a time and no such lock; SQLAlchemy leaves the words out there.
    rows = tx.execute(query.with_for_update() if lock else query)
    return {row.id: dict(row._mapping) for row in rows}


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; None: any."""

    since: datetime | None = None
    until: datetime | None = None  # exclusive
    provider: str | None = None
    model: str | None = None
    prompt_id: str | None = None  # '': runs that name none
    session_id: str | None = None
    environment: str | None = None  # '': runs that name none
    tool: str | None = None  # '': runs that name none
    success: bool | None = None
    team_id: int | None = None  # 0: runs of no team
    repository_id: int | None = None  # 0: runs that name no repository
    state: str | None = None
    reason: str | None = None
    code: bool | None = None
    priced: bool | None = None
    pull_request_id: int | None = None  # runs counted for it
    run_id: int | None = None

    def asked(self) -> set[str]:
        """The names of what is asked for."""
        return {each.name for each in fields(self) if getattr(self, each.name) is not None}


def list_runs(
    tx: Tx,
    organization_id: int,
    where: RunFilter,
    *,
    limit: int,
    before: tuple[datetime, int] | None = None,
    ascending: bool = False,
) -> Sequence[Row[Any]]:
    """Newest first, with the names of repository and team, and where it counts; `before` is the (occurred_at, id)
    of the last row of a page. `ascending`: oldest first, and `before` is what comes before the page all the same.
    """
    run = t.runs.c
    parts = parts_by_index(organization_id, where)
    if len(parts) == 1:
        conditions, order = _page(parts[0], where, before, ascending)
    else:
        ids: list[int] = []
        for part in parts:
            conditions, order = _page(part, where, before, ascending)
            ids += tx.scalars(select(run.id).where(*conditions).order_by(*order).limit(limit))
        conditions = [checked(run.organization_id, organization_id), one_of(run.id, ids)]
    query = (
        select(
            t.runs,
            t.repositories.c.name.label("repository"),
            t.teams.c.name.label("team"),
            _target().label("target_number"),
        )
        .outerjoin(t.repositories, t.repositories.c.id == run.repository_id)
        .outerjoin(t.teams, t.teams.c.id == run.team_id)
        .where(*conditions)
        .order_by(*order)
        .limit(limit)
    )
    return tx.execute(query).all()


def _page(
    part: Part, where: RunFilter, before: tuple[datetime, int] | None, ascending: bool
) -> tuple[list[Any], tuple[Any, ...]]:
    """Conditions and order of a page."""
    run = t.runs.c
    conditions = list(part.conditions)
    if before is not None:
        # As one comparison of rows: with an `or` SQLite would walk over every run before the page.
        place, last = tuple_(part.at, run.id), (part.moment(before[0]), before[1])
        conditions.append(place > last if ascending else place < last)
    # A sum, so that SQLite goes by the index of what is asked for, which does not hold the id, and not by time alone.
    number = run.id + 0 if where.asked() & _INDEXED else run.id
    return conditions, (part.at, number) if ascending else (part.at.desc(), number.desc())


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the runs of a filter."""

    conditions: Sequence[ColumnElement[bool]]
    at: Any  # the time of a run as these conditions and an order should name it
    moment: Callable[[datetime], Any]  # a time that is compared with `at`


def parts_by_index(organization_id: int, where: RunFilter) -> list[Part]:
    """The runs of a filter in parts, of which each is found by an index.

    The indexes of sessions and prompts know the runs that the linker has seen; those that wait for it are few.
    """
    run = t.runs.c
    named = run.session_id if where.session_id else run.prompt_id if where.prompt_id else None
    every = run_conditions(organization_id, where)
    if named is None:
        return [Part(every, run.occurred_at, lambda at: at)]
    # A sum, so that SQLite takes the index of those that wait and not that of the time.
    at = type_coerce(run.occurred_at, BigInteger) + 0
    waiting = [*run_conditions(organization_id, replace(where, since=None, until=None)), run.linked_at.is_(None)]
    waiting += [at >= to_millis(where.since)] if where.since else []
    waiting += [at < to_millis(where.until)] if where.until else []
    return [
        Part([*every, run.linked_at.is_not(None), named.is_not(None)], run.occurred_at, lambda at: at),
        Part(waiting, at, to_millis),
    ]


def beside(
    tx: Tx, organization_id: int, session_id: str, at: datetime, run_id: int
) -> tuple[Row[Any] | None, Row[Any] | None]:
    """Id, model and time of the runs before and after a place in a session. None: there is none.

    The index knows the runs that the linker has seen; those that wait for it are few, and looked through here.
    """
    run = t.runs.c
    named = select(run.id, run.model, run.occurred_at).where(
        run.organization_id == organization_id, run.session_id == session_id
    )
    # Sums, so that SQLite takes the index of the session and not that of the time.
    moment = type_coerce(run.occurred_at, BigInteger) + 0
    place, here = tuple_(moment, run.id), (to_millis(at), run_id)
    seen = named.where(run.linked_at.is_not(None)).limit(1)
    found: list[Row[Any]] = []
    for condition, order in ((place < here, (moment.desc(), run.id.desc())), (place > here, (moment, run.id))):
        found += tx.execute(seen.where(condition).order_by(*order))
    found += tx.execute(named.where(run.linked_at.is_(None)).limit(_WAITING))
    found.sort(key=lambda row: (row.occurred_at, row.id))
    before = [row for row in found if (row.occurred_at, row.id) < (at, run_id)]
    after = [row for row in found if (row.occurred_at, row.id) > (at, run_id)]
    return (before[-1] if before else None, after[0] if after else None)


def _target() -> Any:
    """Number of the first pull request that a run counts for."""
    return (
        select(func.min(t.pull_requests.c.number))
        .join(t.links, t.links.c.pull_request_id == t.pull_requests.c.id)
        .where(
            t.links.c.organization_id == t.runs.c.organization_id,
            t.links.c.run_id == t.runs.c.id,
            t.links.c.state == "counted",
            t.links.c.valid_to.is_(None),
        )
        .correlate(t.runs)
        .scalar_subquery()
    )


@dataclass(frozen=True, slots=True)
class RunTotals:
    runs: int
    cost_nanos: int
    unpriced: int


def total_runs(tx: Tx, organization_id: int, where: RunFilter) -> RunTotals:
    """Count and cost of all runs of a filter."""
    cost = t.runs.c.cost_nanos
    row = tx.execute(
        select(func.count(), func.coalesce(func.sum(cost), 0), func.count(cost)).where(
            *run_conditions(organization_id, where)
        )
    ).one()
    return RunTotals(row[0], int(row[1]), row[0] - row[2])


def run_conditions(organization_id: int, where: RunFilter) -> list[Any]:
    """Which rows of runs."""
    run = t.runs.c
    conditions: list[Any] = [run.organization_id == organization_id]
    for column, value in (
        (run.id, where.run_id),
        (run.provider, where.provider),
        (run.model, where.model),
        (run.session_id, where.session_id),
        (run.link_state, where.state),
        (run.unlinked_reason, where.reason),
        (run.code, where.code),
    ):
        if value is not None:
            conditions.append(column == value)
    if where.success is not None:
        conditions.append(run.success if where.success else ~run.success)  # word for word as the index of failed runs
    for column, number in ((run.team_id, where.team_id), (run.repository_id, where.repository_id)):
        if number is not None:
            conditions.append(column == number if number else column.is_(None))
    texts = ((run.prompt_id, where.prompt_id), (run.environment, where.environment), (run.tool, where.tool))
    conditions += [column == value if value else column.is_(None) for column, value in texts if value is not None]
    if where.since is not None:
        conditions.append(run.occurred_at >= where.since)
    if where.until is not None:
        conditions.append(run.occurred_at < where.until)
    if where.priced is not None:
        conditions.append(run.cost_nanos.is_not(None) if where.priced else run.cost_nanos.is_(None))
    if where.pull_request_id is not None:
        linked = select(t.links.c.run_id).where(
            t.links.c.organization_id == organization_id,
            t.links.c.pull_request_id == where.pull_request_id,
            t.links.c.state == "counted",
            t.links.c.valid_to.is_(None),
        )
        conditions.append(run.id.in_(linked))
        conditions[0] = checked(run.organization_id, organization_id)
    return conditions


def count_received(tx: Tx, organization_id: int, since: datetime, until: datetime) -> int:
    """Runs received in [since, until): what a plan's monthly limit counts."""
    run = t.runs.c
    query = select(func.count()).where(
        run.organization_id == organization_id, run.received_at >= since, run.received_at < until
    )
    return int(tx.scalar(query) or 0)
