"""Runs and their cost by day under any filter of the list of runs, from the smallest table that knows the filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, literal, select, type_coerce

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.runs import RunFilter, run_conditions
from costlens.store.types import EPOCH

_DAY = 86_400_000
Spans = Sequence[tuple[datetime, datetime, timedelta]]

# Filters by the name of their dimension; 0 and '' stand for none, as in the rollups.
_DIMENSIONS = {
    "provider": "provider",
    "model": "model",
    "prompt_id": "prompt",
    "team_id": "team",
    "repository_id": "repository",
    "environment": "environment",
    "tool": "tool",
}
_OF_LEDGER = {"provider", "team_id", "state", "reason", "code"}
_OF_QUARTERS = {"provider", "model", "code", "success"}


@dataclass(frozen=True, slots=True)
class DayOfRuns:
    day: date
    runs: int
    priced_runs: int
    cost_nanos: int


def days_of_runs(
    tx: Tx, organization_id: int, first: date, last: date, spans: Spans, where: RunFilter
) -> list[DayOfRuns]:
    """Days that have runs, both ends included, in the organization's own zone; `spans` are the same days in UTC."""
    asked = {name for name in where.asked() if name not in ("since", "until", "priced")}
    if asked <= _DIMENSIONS.keys() and len(asked) < 2:
        rows = _by_dimension(tx, organization_id, first, last, where, next(iter(asked), None))
    elif asked <= _DIMENSIONS.keys():
        r = t.rollup_day.c
        narrow = [r[name] == getattr(where, name) for name in asked]
        rows = _by_day(tx, t.rollup_day, organization_id, first, last, narrow)
    elif asked <= _OF_QUARTERS:
        rows = _by_quarter(tx, organization_id, spans, where, asked)
    elif asked <= _OF_LEDGER:
        rows = _by_day(tx, t.rollup_links, organization_id, first, last, _ledger(where))
    else:
        rows = _of_runs(tx, organization_id, spans, where)
    return [day for row in sorted(rows, key=lambda row: row[0]) if (day := _shown(row, where.priced)).runs]


def _shown(row: Sequence[Any], priced: bool | None) -> DayOfRuns:
    day, runs, priced_runs, cost = row[0], int(row[1]), int(row[2]), int(row[3])
    if priced is None:
        return DayOfRuns(day, runs, priced_runs, cost)
    return DayOfRuns(day, priced_runs, priced_runs, cost) if priced else DayOfRuns(day, runs - priced_runs, 0, 0)


def _by_dimension(
    tx: Tx, organization_id: int, first: date, last: date, where: RunFilter, name: str | None
) -> list[Sequence[Any]]:
    r = t.rollup_dimension.c
    query = (
        select(r.value, r.day, func.sum(r.runs), func.sum(r.priced_runs), func.sum(r.cost_nanos))
        .where(r.organization_id == organization_id, r.day >= first, r.day <= last)
        .where(r.dimension == _DIMENSIONS[name or "provider"])
        .group_by(r.value, r.day)  # as the primary key goes: by day alone SQLite reads every dimension
    )
    if name:
        query = query.where(r.value == str(getattr(where, name) or ""))
    found: dict[date, list[int]] = {}
    for _, day, *sums in tx.execute(query):
        _add_day(found, day, sums)
    return [(day, *sums) for day, sums in found.items()]


def _by_day(
    tx: Tx, table: Any, organization_id: int, first: date, last: date, narrow: Iterable[ColumnElement[bool]]
) -> list[Sequence[Any]]:
    r = table.c
    return list(
        tx.execute(
            select(r.day, func.sum(r.runs), func.sum(r.priced_runs), func.sum(r.cost_nanos))
            .where(r.organization_id == organization_id, r.day >= first, r.day <= last, *narrow)
            .group_by(r.day)
        )
    )


def _ledger(where: RunFilter) -> list[ColumnElement[bool]]:
    r = t.rollup_links.c
    pairs = (
        (r.provider, where.provider),
        (r.team_id, where.team_id),
        (r.state, where.state),
        (r.reason, where.reason),
    )
    found: list[ColumnElement[bool]] = [column == value for column, value in pairs if value is not None]
    if where.code is not None:
        found.append(r.state != "not_code" if where.code else r.state == "not_code")
    return found


def _by_quarter(
    tx: Tx, organization_id: int, spans: Spans, where: RunFilter, asked: Iterable[str]
) -> list[Sequence[Any]]:
    r = t.rollup_15m.c
    found: dict[date, list[int]] = {}
    for start, end, offset in spans:
        day = _local_day(r.bucket, offset)
        query = (
            select(day, func.sum(r.runs), func.sum(r.priced_runs), func.sum(r.cost_nanos))
            .where(r.organization_id == organization_id, r.bucket >= start, r.bucket < end)
            .where(*(r[name] == getattr(where, name) for name in asked))
            .group_by(day)
        )
        _add(found, tx.execute(query))
    return [(day, *sums) for day, sums in found.items()]


def _of_runs(tx: Tx, organization_id: int, spans: Spans, where: RunFilter) -> list[Sequence[Any]]:
    run = t.runs.c
    found: dict[date, list[int]] = {}
    for start, end, offset in spans:
        day = _local_day(run.occurred_at, offset)
        query = (
            select(day, func.count(), func.count(run.cost_nanos), func.coalesce(func.sum(run.cost_nanos), 0))
            .where(*run_conditions(organization_id, where), run.occurred_at >= start, run.occurred_at < end)
            .group_by(day)
        )
        _add(found, tx.execute(query))
    return [(day, *sums) for day, sums in found.items()]


def _local_day(column: Any, offset: timedelta) -> Any:
    local = type_coerce(column, BigInteger) + literal(offset // timedelta(milliseconds=1), BigInteger)
    return (local // _DAY).label("day")


def _add(found: dict[date, list[int]], rows: Iterable[Any]) -> None:
    for number, *sums in rows:
        _add_day(found, EPOCH.date() + timedelta(days=int(number)), sums)


def _add_day(found: dict[date, list[int]], day: date, sums: Iterable[Any]) -> None:
    old = found.setdefault(day, [0, 0, 0])
    for place, value in enumerate(sums):
        old[place] += int(value)
