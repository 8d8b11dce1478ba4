"""What AI cost in a window, by row of a report and by day, from the narrow sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from costlens.domain.links import UnlinkedReason
from costlens.domain.roi import Filters, Spend, Window
from costlens.store.engine import Tx
from costlens.store.tables import rollup_latency_day, rollup_spend
from costlens.store.types import one_of

_NUMBERS = msgspec.json.Decoder(list[int | None])
_REASONS = tuple(str(reason) for reason in UnlinkedReason)


@dataclass(frozen=True, slots=True)
class RowSpend:
    """What one row of a report cost in a window."""

    spend: Spend
    reasons: tuple[int, ...]  # cost of unlinked runs by UnlinkedReason, in its order
    runs: int  # these three by the runs' own repositories
    priced_runs: int
    exact_runs: int


@dataclass(frozen=True, slots=True)
class DaysOfSpend:
    """Spend of each day of a window, and of the one before, of all rows together."""

    days: Mapping[date, Spend]
    trends: Mapping[int, tuple[int, ...]]  # code cost of each row on each day of the window, oldest first


def spend_by_row(
    tx: Tx, organization_id: int, scope: str, window: Window, comparison: Window, filters: Filters
) -> tuple[dict[int, RowSpend], dict[int, RowSpend]]:
    """By repository or team (0: none), each nano-dollar in one bucket: of the window, and of the one before it."""
    s = rollup_spend.c
    key = _key(rollup_spend, scope)
    sums = (*_columns(), *(s[f"{reason}_nanos"] for reason in _REASONS), s.runs, s.priced_runs, s.exact_runs)
    now = case((s.day >= window.start, 1), else_=0)
    query = (
        select(now, key, *map(summed, sums))
        .where(*spend_of(organization_id, scope, comparison.start, window.end, filters))
        .group_by(now, key)
    )
    found: tuple[dict[int, RowSpend], dict[int, RowSpend]] = {}, {}
    first, last = len(_columns()), len(_columns()) + len(_REASONS)
    for is_now, row, *numbers in tx.execute(query):
        found[not is_now][row] = RowSpend(_spend(numbers[:first]), tuple(numbers[first:last]), *numbers[last:])
    return found


def spend_by_day(
    tx: Tx, organization_id: int, scope: str, window: Window, comparison: Window, filters: Filters
) -> DaysOfSpend:
    """The same by day, of the window and of the one directly before."""
    s = rollup_spend.c
    # A day's rows as two lists in one row: a year of them would be 15,000 rows otherwise.
    listed = (packed(tx, _key(rollup_spend, scope)), packed(tx, _code()))
    query = (
        select(s.day, *map(summed, _columns()), *listed)
        .where(*spend_of(organization_id, scope, comparison.start, window.end, filters))
        .group_by(s.day)
    )
    days: dict[date, Spend] = {}
    trends: dict[int, list[int]] = {}
    for day, *numbers, rows, costs in tx.execute(query):
        days[day] = _spend(numbers)
        place = (day - window.start).days
        if place < 0:
            continue
        for row, cost in zip(unpacked(rows), unpacked(costs), strict=True):
            values = trends.get(row)
            if values is None:
                values = trends[row] = [0] * window.days
            values[place] += cost
    return DaysOfSpend(days, {row: tuple(values) for row, values in trends.items()})


def code_spend(tx: Tx, organization_id: int, window: Window, team_id: int | None) -> int:
    """Code cost of a window, of one team or of all."""
    where = spend_of(organization_id, "team", window.start, window.end, Filters(team_id=team_id))
    return int(tx.execute(select(summed(_code())).where(*where)).scalar_one())


def spend_by_source(tx: Tx, organization_id: int, window: Window, filters: Filters) -> dict[tuple[str, int], Spend]:
    """Spend of a window by provider and team (0: none), each nano-dollar in one bucket."""
    s = rollup_spend.c
    query = (
        select(s.provider, s.team_id, *map(summed, _columns()))
        .where(*_of_sources(organization_id, window.start, window.end, filters))
        .group_by(s.provider, s.team_id)
    )
    return {(provider, team): _spend(numbers) for provider, team, *numbers in tx.execute(query)}


def cost_by_day_and_provider(
    tx: Tx, organization_id: int, first: date, last: date, filters: Filters
) -> list[tuple[date, str, int]]:
    """(day, provider, cost) of all runs with a price, not code too, from first to last day, both included."""
    s = rollup_spend.c
    query = (
        select(s.day, s.provider, summed(_code() + s.not_code_nanos))
        .where(*_of_sources(organization_id, first, last, filters))
        .group_by(s.day, s.provider)
    )
    return [(day, provider, total) for day, provider, total in tx.execute(query).all()]


def usage(
    tx: Tx, organization_id: int, window: Window, comparison: Window, filters: Filters
) -> tuple[Sequence[int], Sequence[int]]:
    """(runs, succeeded, summed milliseconds, runs with a latency) of a window and of the one directly before."""
    s = rollup_spend.c
    now = case((s.day >= window.start, 1), else_=0)
    query = (
        select(now, *(summed(s[name]) for name in ("runs", "succeeded", "latency_ms", "timed_runs")))
        .where(*spend_of(organization_id, "team", comparison.start, window.end, filters))
        .group_by(now)
    )
    found = {is_now: tuple(sums) for is_now, *sums in tx.execute(query)}
    return found.get(1, (0, 0, 0, 0)), found.get(0, (0, 0, 0, 0))


def latency_counts(
    tx: Tx, organization_id: int, window: Window, comparison: Window, provider: str | None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(log step, runs) of the latencies of a window and of the one directly before, fastest first.

    See `rollups.latency_step`.
    """
    h = rollup_latency_day.c

    def counts(now: int, span: Window) -> Select[Any]:
        mine = [h.organization_id == organization_id, h.day.between(span.start, span.end)]
        if provider is not None:
            mine.append(h.provider == provider)
        number: ColumnElement[int] = literal_column(str(now))
        # Added up here: a database would sort a year of them first.
        columns: list[ColumnElement[Any]] = [number.label("now"), packed(tx, h.step), packed(tx, h.runs)]
        return select(*columns).where(*mine)

    found: dict[int, list[tuple[int, int]]] = {}
    for now, steps, runs in tx.execute(union_all(counts(1, window), counts(0, comparison))):
        sums: dict[int, int] = defaultdict(int)
        for step, count in zip(unpacked(steps), unpacked(runs), strict=True):
            sums[step] += count
        found[now] = sorted(sums.items())
    return found[1], found[0]


def dearest_reasons(rows: Iterable[RowSpend]) -> dict[str, int]:
    """Cost of the rows' unlinked runs by reason, dearest first; reasons without any are left out."""
    sums = [sum(costs) for costs in zip(*(row.reasons for row in rows), strict=True)]
    costs = zip(_REASONS, sums, strict=False)  # no rows: no sums
    return dict(sorted(((reason, cost) for reason, cost in costs if cost), key=lambda item: (-item[1], item[0])))


def _columns() -> list[ColumnElement[int]]:
    """What `_spend` takes, in its order."""
    s = rollup_spend.c
    sums = (
        "ledger_runs", "ledger_priced_runs", "not_code_runs", "counted_nanos", "direct_nanos", "open_nanos",
        "abandoned_nanos", "reverted_nanos", "suggested_nanos",
    )  # fmt: skip
    return [*(s[name] for name in sums), s.pending_nanos, _unlinked(), s.not_code_nanos]


def _unlinked() -> ColumnElement[int]:
    s = rollup_spend.c
    found: ColumnElement[int] = s.no_repo_nanos + s.no_person_nanos + s.no_candidate_nanos + s.rejected_nanos
    return found


def _code() -> ColumnElement[int]:
    s = rollup_spend.c
    found: ColumnElement[int] = s.counted_nanos + s.suggested_nanos + s.pending_nanos + _unlinked()
    return found


def _spend(sums: Sequence[int]) -> Spend:
    runs, priced, not_code_runs, counted, direct, opened, abandoned, reverted, *rest = sums
    suggested, pending, unlinked, other = rest
    return Spend(
        counted=counted,
        merged=counted - direct - opened - abandoned - reverted,
        direct=direct,
        open=opened,
        abandoned=abandoned,
        reverted=reverted,
        suggested=suggested,
        pending=pending,
        unlinked=unlinked,
        not_code=other,
        runs=runs,
        not_code_runs=not_code_runs,
        unpriced_runs=runs - priced,
    )


def _key(table: Table, scope: str) -> ColumnElement[int]:
    key: ColumnElement[int] = table.c[f"{scope}_id"]
    return key


def spend_of(organization_id: int, scope: str, first: date, last: date, filters: Filters) -> list[ColumnElement[bool]]:
    """Conditions of the narrowest sums that know the rows of a report and what its filters ask."""
    s, cut = rollup_spend.c, cut_of(scope, filters)
    days = on_days(s.day, first, last) if cut == "whole" and filters.team_id is not None else s.day.between(first, last)
    return [s.organization_id == organization_id, s.cut == cut, days, *narrow(rollup_spend, filters)]


def on_days(column: ColumnElement[date], first: date, last: date) -> ColumnElement[bool]:
    """Whether a day is from first to last, both included, as a list of them: what comes after it in an index is looked
    up for each, where a range would read the rows of all.
    """
    return one_of(column, (first + timedelta(days=n) for n in range((last - first).days + 1)))


def _of_sources(organization_id: int, first: date, last: date, filters: Filters) -> list[ColumnElement[bool]]:
    s = rollup_spend.c
    return [
        s.organization_id == organization_id,
        s.cut == ("source" if filters.repository_id is None else "whole"),
        s.day.between(first, last),
        *narrow(rollup_spend, filters),
    ]


def cut_of(scope: str, filters: Filters) -> str:
    """The narrowest cut of rollup_spend that knows both the rows of a report and what its filters ask."""
    other = filters.repository_id if scope == "team" else filters.team_id
    if other is not None or (filters.provider is not None and scope == "repository"):
        return "whole"
    return scope if filters.provider is None else "source"


def narrow(table: Table, filters: Filters) -> list[ColumnElement[bool]]:
    """The filters as conditions on a table of sums."""
    chosen = {"team_id": filters.team_id, "repository_id": filters.repository_id, "provider": filters.provider}
    return [table.c[name] == value for name, value in chosen.items() if value is not None]


def summed(column: ColumnElement[int], condition: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """Sum of the rows that meet the condition, 0 for none, as a whole number on every engine."""
    value = column if condition is None else case((condition, column), else_=literal(0))
    return cast(func.coalesce(func.sum(value), 0), BigInteger)


def packed(tx: Tx, column: ColumnElement[int], condition: ColumnElement[bool] | None = None) -> ColumnElement[str]:
    """The numbers of a group's rows that meet the condition as the text of a JSON list, in one order; see `unpacked`.

    Thousands of numbers come as one text in a fraction of the time that as many rows take.
    """
    made = (func.json_group_array if tx.dialect.name == "sqlite" else func.json_agg)(column)
    found: ColumnElement[str] = cast(made if condition is None else made.filter(condition), Text)
    return found


def unpacked(text: str | None) -> list[Any]:
    """The numbers that `packed` put together; None where a column had none."""
    return _NUMBERS.decode(text or "[]")
