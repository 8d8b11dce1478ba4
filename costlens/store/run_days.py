"""Runs and their cost by day under any filter of the list of runs, from the smallest table that knows the filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, literal, select, type_coerce

from costlens.store import tables as t
from costlens.store.analytics import values_of
from costlens.store.engine import Tx
from costlens.store.rollups import narrowed, provider_and_model
from costlens.store.runs import RunFilter, parts_by_index
from costlens.store.types import EPOCH, one_of

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
    "state": "state",
}
_OF_MANY_RUNS = {"team_id", "provider", "model", "tool", "environment", "success", "state", "reason", "code"}


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
    asked = where.asked() - {"since", "until", "priced"}
    if named := _dimension(where, asked):
        rows = _by_dimension(tx, organization_id, first, last, where, *named)
    elif asked <= _OF_MANY_RUNS:
        rows = _by_filters(tx, organization_id, first, last, where, asked)
    else:
        rows = _of_runs(tx, organization_id, spans, where)
    return [day for row in sorted(rows, key=lambda row: row[0]) if (day := _shown(row, where.priced)).runs]


def _shown(row: Sequence[Any], priced: bool | None) -> DayOfRuns:
    day, runs, priced_runs, cost = row[0], int(row[1]), int(row[2]), int(row[3])
    if priced is None:
        return DayOfRuns(day, runs, priced_runs, cost)
    return DayOfRuns(day, priced_runs, priced_runs, cost) if priced else DayOfRuns(day, runs - priced_runs, 0, 0)


def _dimension(where: RunFilter, asked: Set[str]) -> tuple[str, str | None] | None:
    """The dimension, and its value, that has just these runs; value None: all of them have, or of calls those of the
    provider and model. None: there is none.
    """
    if not asked:
        return "provider", None
    if len(asked) == 1:
        (name,) = asked
        return (_DIMENSIONS[name], str(getattr(where, name) or "")) if name in _DIMENSIONS else None
    if where.prompt_id is not None:
        dimension = _narrowed("prompt", where, asked - {"prompt_id"})
        return (dimension, where.prompt_id) if dimension else None
    others = asked - {"provider", "model"}
    if others == asked:
        return None
    dimension = _narrowed("call", where, others) if others else "call"
    return (dimension, None) if dimension else None


def _narrowed(dimension: str, where: RunFilter, asked: Set[str]) -> str | None:
    (name, *more) = asked
    by = _DIMENSIONS.get(name)
    if more or by not in t.NARROWED[dimension]:
        return None
    return narrowed(dimension, by, getattr(where, name))


def _by_dimension(
    tx: Tx, organization_id: int, first: date, last: date, where: RunFilter, dimension: str, value: str | None
) -> list[Sequence[Any]]:
    r = t.rollup_dimension.c
    query = (
        select(r.value, r.day, func.sum(r.runs), func.sum(r.priced_runs), func.sum(r.cost_nanos))
        .where(r.organization_id == organization_id, r.day >= first, r.day <= last, r.dimension == dimension)
        .group_by(r.value, r.day)  # as the primary key goes: by day alone SQLite reads every dimension
    )
    if value is not None:
        query = query.where(r.value == value)
    elif dimension.startswith("call"):
        names = values_of(organization_id, dimension).c.value
        asked = (where.provider, where.model)
        every = tx.scalars(select(names).where(names.is_not(None)))
        query = query.where(one_of(r.value, [call for call in every if _is(provider_and_model(call), asked)]))
    found: dict[date, list[int]] = {}
    for _, day, *sums in tx.execute(query):
        _add_day(found, day, sums)
    return [(day, *sums) for day, sums in found.items()]


def _is(names: tuple[str, str], asked: tuple[str | None, str | None]) -> bool:
    return all(want in (None, name) for name, want in zip(names, asked, strict=True))


def _by_filters(
    tx: Tx, organization_id: int, first: date, last: date, where: RunFilter, asked: Set[str]
) -> list[Sequence[Any]]:
    r = t.rollup_runs.c
    narrow: list[ColumnElement[bool]] = [r[name] == getattr(where, name) for name in sorted(asked - {"code"})]
    if where.code is not None:
        narrow.append(r.state != "not_code" if where.code else r.state == "not_code")
    query = (
        select(r.day, func.sum(r.runs), func.sum(r.priced_runs), func.sum(r.cost_nanos))
        .where(r.organization_id == organization_id, r.day >= first, r.day <= last, *narrow)
        .group_by(r.day)
    )
    return list(tx.execute(query))


def _of_runs(tx: Tx, organization_id: int, spans: Spans, where: RunFilter) -> list[Sequence[Any]]:
    run = t.runs.c
    found: dict[date, list[int]] = {}
    for start, end, offset in spans:
        day = _local_day(run.occurred_at, offset)
        # Each bound once: SQLite takes every further one for a reason to go by time.
        for part in parts_by_index(organization_id, replace(where, since=start, until=end)):
            query = (
                select(day, func.count(), func.count(run.cost_nanos), func.coalesce(func.sum(run.cost_nanos), 0))
                .where(*part.conditions)
                .group_by(day)
            )
            for number, *sums in tx.execute(query):
                _add_day(found, EPOCH.date() + timedelta(days=int(number)), sums)
    return [(day, *sums) for day, sums in found.items()]


def _local_day(column: Any, offset: timedelta) -> Any:
    local = type_coerce(column, BigInteger) + literal(offset // timedelta(milliseconds=1), BigInteger)
    return (local // _DAY).label("day")


def _add_day(found: dict[date, list[int]], day: date, sums: Iterable[Any]) -> None:
    old = found.setdefault(day, [0, 0, 0])
    for place, value in enumerate(sums):
        old[place] += int(value)
