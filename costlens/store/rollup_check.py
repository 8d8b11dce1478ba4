"""The sums against the runs they sum: what differs, a local day at a time, and the repair by exactly that.

A repair adds differences that were read in one snapshot. What others add meanwhile, to runs and sums alike, leaves
the differences as they are, so nothing is locked while reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from operator import sub
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Table, and_, case, cast, exists, func, select, type_coerce, update

from costlens.domain.periods import day_start
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.identity import CHUNK
from costlens.store.links import current_links
from costlens.store.pull_outcomes import Outcomes, facts_of, outcomes_of
from costlens.store.rollups import PULL_MEASURES, QUARTER, Change, Groups, Key, Sums, add_groups
from costlens.store.rollups import pulls as pull_sums
from costlens.store.types import from_millis, one_of
from costlens.store.upsert import keep_first

_QUARTER_MILLIS = QUARTER // timedelta(milliseconds=1)
_BY_BUCKET = (t.rollup_15m, t.rollup_latency)
_BY_DAY = (
    t.rollup_latency_day,
    t.rollup_day,
    t.rollup_dimension,
    t.rollup_links,
    t.rollup_runs,
    t.rollup_spend,
)

# What `Change` reads of a run.
_RUN_COLUMNS = [
    t.runs.c[name]
    for name in (
        "id", "occurred_at", "provider", "model", "code", "success", "team_id", "person_id", "repository_id",
        "prompt_id", "tool", "environment", "latency_ms", *t.USAGE_COLUMNS, "usage_quality", "cost_nanos",
        "baseline_cost_nanos", "link_state", "unlinked_reason",
    )
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class RollupDrift:
    """What to add to one rollup to make it right."""

    table: Table
    measures: tuple[str, ...]
    rows: Groups  # by the primary key without the organization
    empty: tuple[Key, ...]  # rows that hold only zeros, at once or after the rows above are added

    @property
    def name(self) -> str:
        return self.table.name


@dataclass(frozen=True, slots=True)
class DayDrift:
    """What is wrong with one local day; `repairs` tells of which state of the sums this was read."""

    organization_id: int
    day: date | None  # None: with sums that are of no day
    rollups: tuple[RollupDrift, ...]
    repairs: int

    @property
    def differing(self) -> int:
        """Rows that are wrong."""
        return sum(len(rollup.rows) for rollup in self.rollups)


def compare_day(tx: Tx, organization_id: int, timezone: str, day: date) -> DayDrift:
    """Makes the sums of a local day from its runs as ingest does, and compares every rollup's rows with them.

    `tx` must be a snapshot. Only rollups that differ, or hold empty rows, are answered.
    """
    repairs = _repairs(tx, organization_id)
    since, until = day_start(day, timezone), day_start(day + timedelta(days=1), timezone)
    expected = Change(organization_id, timezone)
    for run, links in _runs(tx, organization_id, since, until):
        expected.add_run(run)
        expected.add_ledger(run, links)
    found: list[RollupDrift] = []
    outcomes = outcomes_of(tx, organization_id, expected.pull_ids)
    for table, measures, groups in expected.groups(outcomes):
        if table is t.rollup_pulls:
            continue  # of no day: see compare_pulls
        if table in _BY_BUCKET:
            here = and_(table.c.bucket >= since, table.c.bucket < until)
        else:
            # As a range: of rollup_dimension, SQLite would read all of the organization for one equal day.
            here = table.c.day.between(day, day)
            if table is t.rollup_spend:
                here = and_(here, table.c.cut.in_(t.SPEND_CUTS))  # its key begins with these
        drift = _compare(tx, organization_id, table, measures, groups, here)
        if drift.rows or drift.empty:
            found.append(drift)
    return DayDrift(organization_id, day, tuple(found), repairs)


def compare_pulls(tx: Tx, organization_id: int, days: Sequence[date] | None) -> DayDrift:
    """Makes what pull requests cost over their whole life from their links, and compares rollup_pulls with it.

    `days`: only pull requests with spend on these, None: all. `tx` must be a snapshot.
    """
    repairs, pulls = _repairs(tx, organization_id), t.rollup_pulls.c
    some = iter(sorted(_pulls_of(tx, organization_id, days)))
    found: list[RollupDrift] = []
    while chunk := list(islice(some, CHUNK)):
        expected = _pulls_by_links(tx, organization_id, chunk)
        outcomes = outcomes_of(tx, organization_id, chunk)
        here = and_(pulls.cut.in_(t.PULL_CUTS), one_of(pulls.pull_request_id, chunk))  # as its key begins
        drift = _compare(tx, organization_id, t.rollup_pulls, PULL_MEASURES, expected, here, outcomes)
        if drift.rows or drift.empty:
            found.append(drift)
    return DayDrift(organization_id, None, tuple(found), repairs)


def _pulls_of(tx: Tx, organization_id: int, days: Sequence[date] | None) -> set[int]:
    if days is None:
        link, pulls = t.links.c, t.rollup_pulls.c
        linked = select(link.pull_request_id).where(
            link.organization_id == organization_id, link.pull_request_id.is_not(None)
        )
        stored = select(pulls.pull_request_id).where(
            pulls.organization_id == organization_id, pulls.cut.in_(t.PULL_CUTS)
        )
        return {*tx.scalars(linked.distinct()), *tx.scalars(stored.distinct())}
    row = t.rollup_links.c
    mine = and_(row.organization_id == organization_id, row.pull_request_id != 0)
    found: set[int] = set()
    for day in days:
        found |= set(tx.scalars(select(row.pull_request_id).where(mine, row.day.between(day, day)).distinct()))
    return found


def _pulls_by_links(tx: Tx, organization_id: int, pull_ids: Sequence[int]) -> Groups:
    """What `ledger_rows` makes of the links that hold: each run counts once, with its first."""
    link, run, earlier = t.links.c, t.runs.c, t.links.alias("earlier")
    before = exists().where(
        earlier.c.organization_id == organization_id,
        earlier.c.run_id == link.run_id,
        earlier.c.id < link.id,
        earlier.c.state == "counted",
        earlier.c.valid_to.is_(None),
    )
    key = (
        link.pull_request_id,
        func.coalesce(run.team_id, 0),
        func.coalesce(run.repository_id, link.repository_id),
        run.provider,
    )
    sums = (func.sum(case((before, 0), else_=1)), func.sum(link.cost_nanos))
    query = (
        select(*key, *(cast(each, BigInteger) for each in sums))
        .select_from(t.links.join(t.runs, run.id == link.run_id))
        .where(
            link.organization_id == organization_id,
            one_of(link.pull_request_id, pull_ids),
            link.state == "counted",
            link.valid_to.is_(None),
            run.code,
        )
        .group_by(*key)
    )
    return pull_sums(
        {
            (None, team, repository, provider, "counted", "", pull): (runs, 0, cost)
            for pull, team, repository, provider, runs, cost in tx.execute(query)
        }
    )


def _runs(
    tx: Tx, organization_id: int, since: datetime, until: datetime
) -> Iterator[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]]:
    """Runs of a span with their links, read as they are asked for."""
    run = t.runs.c
    query = select(*_RUN_COLUMNS).where(
        run.organization_id == organization_id, run.occurred_at >= since, run.occurred_at < until
    )
    for rows in tx.execute(query.execution_options(yield_per=CHUNK)).mappings().partitions():
        links = current_links(tx, organization_id, [row["id"] for row in rows if row["code"]])
        for row in rows:
            yield dict(row), links.get(row["id"], ())


def _compare(
    tx: Tx,
    organization_id: int,
    table: Table,
    measures: tuple[str, ...],
    groups: Groups,
    here: ColumnElement[bool],
    outcomes: Outcomes | None = None,
) -> RollupDrift:
    """`outcomes`: of a rollup of pull requests, whose rows must say them too."""
    keys = _key_names(table)
    facts = t.PULL_FACTS if outcomes is not None else ()
    columns = [table.c[name] for name in (*keys, *measures, *facts)]
    query = select(*columns).where(table.c.organization_id == organization_id, here)
    rows: Groups = {}
    empty: list[Key] = []
    missing = dict(groups)
    nothing = (0,) * len(measures)
    for row in tx.execute(query.execution_options(yield_per=CHUNK)):
        key, stored = tuple(row[: len(keys)]), tuple(row[len(keys) : len(columns) - len(facts)])
        wanted = tuple(missing.pop(key, nothing))
        untrue = outcomes is not None and any(wanted) and facts_of(outcomes, key[1]) != tuple(row[-len(facts) :])
        if wanted != stored or untrue:
            rows[key] = tuple(map(sub, wanted, stored))
        if not any(wanted):
            empty.append(key)
    rows |= {key: sums for key, sums in missing.items() if any(sums)}
    return RollupDrift(table, measures, rows, tuple(empty))


def _key_names(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns][1:]  # without the organization


@dataclass(frozen=True, slots=True)
class Part:
    """So much of a repair as goes into one transaction."""

    table: Table
    measures: tuple[str, ...]
    rows: Sequence[tuple[Key, Sums]]
    empty: Sequence[Key]


def parts(drift: DayDrift, size: int) -> Iterator[Part]:
    """The repair of a day in parts of at most `size` rows; each part alone makes its rows right."""
    for rollup in drift.rollups:
        # By key, so that two writers never wait for each other in a circle.
        keys = iter(sorted({*rollup.rows, *rollup.empty}))
        empty = set(rollup.empty)
        while some := list(islice(keys, size)):
            rows = [(key, rollup.rows[key]) for key in some if key in rollup.rows]
            yield Part(rollup.table, rollup.measures, rows, [key for key in some if key in empty])


def repair(tx: Tx, organization_id: int, part: Part, repairs: int) -> bool:
    """Adds the differences of a part and removes what holds only zeros. False, and nothing is written, when another
    repair came after the state numbered `repairs`: its differences may be the same ones. Else that number is one more.
    """
    checks = t.rollup_checks.c
    mine = update(t.rollup_checks).where(checks.organization_id == organization_id, checks.repairs == repairs)
    if not tx.execute(mine.values(repairs=repairs + 1)).rowcount:
        return False
    table, keys = part.table, _key_names(part.table)
    outcomes: Outcomes = {}
    if table is t.rollup_pulls:  # as they are now
        outcomes = outcomes_of(tx, organization_id, {key[1] for key, _ in part.rows}, hold=True)
    add_groups(tx, organization_id, table, part.measures, dict(part.rows), outcomes)
    for key in part.empty:
        here = and_(*(table.c[name] == value for name, value in zip(keys, key, strict=True)))
        zero = and_(*(table.c[name] == 0 for name in part.measures))
        tx.execute(table.delete().where(table.c.organization_id == organization_id, here, zero))
    return True


def _repairs(tx: Tx, organization_id: int) -> int:
    checks = t.rollup_checks.c
    return int(tx.scalar(select(checks.repairs).where(checks.organization_id == organization_id)) or 0)


def begin_checks(tx: Tx, organization_id: int) -> None:
    """Makes the row that keeps the result, once."""
    keep_first(tx, t.rollup_checks, [{"organization_id": organization_id}])


def set_check(tx: Tx, organization_id: int, values: Mapping[str, Any]) -> None:
    """Sets these columns of what is known of the sums."""
    begin_checks(tx, organization_id)
    tx.execute(update(t.rollup_checks).where(t.rollup_checks.c.organization_id == organization_id).values(**values))


def rebuild_due(tx: Tx, organization_id: int) -> bool:
    """Whether the time zone changed and the days are not all cut anew."""
    checks = t.rollup_checks.c
    return bool(tx.scalar(select(checks.rebuild_due).where(checks.organization_id == organization_id)))


def last_check(tx: Tx) -> tuple[datetime | None, int]:
    """(when sums were last checked, rows that were wrong in each organization's last check). None: never."""
    checks = t.rollup_checks.c
    row = tx.execute(select(func.max(checks.checked_at), func.sum(checks.differing))).one()
    return row[0], int(row[1] or 0)


def all_days(tx: Tx, organization_id: int, timezone: str) -> list[date]:
    """Every local day with a run or with a row of any rollup, oldest first."""
    zone = ZoneInfo(timezone)
    quarters: set[int] = set()
    for column in (t.runs.c.occurred_at, *(table.c.bucket for table in _BY_BUCKET)):
        number = type_coerce(column, BigInteger) // _QUARTER_MILLIS
        quarters |= set(tx.scalars(select(number).distinct().where(column.table.c.organization_id == organization_id)))
    days = {from_millis(number * _QUARTER_MILLIS).astimezone(zone).date() for number in quarters}
    for table in _BY_DAY:
        days |= set(tx.scalars(select(table.c.day).distinct().where(table.c.organization_id == organization_id)))
    return sorted(days)


def first_bucket(tx: Tx, organization_id: int) -> datetime | None:
    """Start of the first quarter hour that holds a run. None: no runs."""
    r = t.rollup_15m.c
    found: datetime | None = tx.scalar(select(func.min(r.bucket)).where(r.organization_id == organization_id))
    return found
