"""What AI cost in a window, by row of a report and by day, from the narrow sums.

Sums are read without outcomes, which change after them: what is open, abandoned or reverted is read from the few pull
requests that are, and the rest of the money linked to pull requests is merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Table, case, cast, func, literal, literal_column, select

from costlens.domain.links import LinkState, Outcome, UnlinkedReason
from costlens.domain.roi import Filters, Spend, Window
from costlens.store.engine import Tx
from costlens.store.tables import pull_requests, rollup_latency, rollup_links, rollup_pulls, rollup_spend
from costlens.store.types import one_of

_OUTCOMES = (Outcome.OPEN, Outcome.ABANDONED, Outcome.REVERTED)
_REASONS = tuple(str(reason) for reason in UnlinkedReason)


Lost = dict[str, int]  # cost by outcome: open, abandoned, reverted; direct: the pull request is gone


@dataclass(frozen=True, slots=True)
class Unmerged:
    """Linked money of a window, and of the one before, whose pull requests are not merged, or are gone."""

    now: dict[int, Lost]  # of the window, by repository or team id, 0: none
    before: dict[int, Lost]
    by_day: dict[date, Lost]


def spend_by_row(
    tx: Tx, organization_id: int, scope: str, window: Window, filters: Filters, lost: Mapping[int, Lost]
) -> dict[int, Spend]:
    """Spend of a window by repository or team (0: none), each nano-dollar in one bucket; `lost` is of this window.

    Linked cost without a pull request that is known goes to commits outside any.
    """
    sums = [summed(column) for column in _columns()]
    key = _key(rollup_spend, scope)
    query = select(key, *sums).where(*_where(organization_id, scope, window.start, window.end, filters)).group_by(key)
    return {row: _spend(numbers, lost.get(row, {})) for row, *numbers in tx.execute(query).all()}


def spend_by_day(
    tx: Tx, organization_id: int, scope: str, first: date, last: date, filters: Filters, lost: Mapping[date, Lost]
) -> dict[date, Spend]:
    """The same by day, from first to last day, both included, of all rows together."""
    s = rollup_spend.c
    sums = [summed(column) for column in _columns()]
    query = select(s.day, *sums).where(*_where(organization_id, scope, first, last, filters)).group_by(s.day)
    return {day: _spend(numbers, lost.get(day, {})) for day, *numbers in tx.execute(query).all()}


def code_by_day(
    tx: Tx, organization_id: int, scope: str, window: Window, filters: Filters
) -> dict[int, tuple[int, ...]]:
    """Code cost of each row on each day of the window, oldest first."""
    s = rollup_spend.c
    key = _key(rollup_spend, scope)
    code = s.counted_nanos + s.suggested_nanos + s.pending_nanos + _unlinked()
    query = (
        select(key, s.day, summed(code))
        .where(*_where(organization_id, scope, window.start, window.end, filters))
        .group_by(key, s.day)
    )
    place = {window.start + timedelta(days=offset): offset for offset in range(window.days)}
    found: dict[int, list[int]] = {}
    for row, day, cost in tx.execute(query).all():
        values = found.get(row)
        if values is None:
            values = found[row] = [0] * window.days
        values[place[day]] = cost
    return {row: tuple(values) for row, values in found.items()}


def spend_by_source(tx: Tx, organization_id: int, window: Window, filters: Filters) -> dict[tuple[str, int], Spend]:
    """Spend of a window by provider and team (0: none), each nano-dollar in one bucket."""
    s, r = rollup_spend.c, rollup_links.c
    lost: dict[tuple[str, int], Lost] = {}
    for outcome, ids in _not_merged(tx, organization_id).items():
        query = _of_pulls(organization_id, ids, window.start, window.end, filters, r.provider, r.team_id)
        for provider, team, cost in tx.execute(query).all():
            lost.setdefault((provider, team), {})[outcome] = cost
    query = (
        select(s.provider, s.team_id, *(summed(column) for column in _columns()))
        .where(
            s.organization_id == organization_id,
            s.cut == "whole",
            s.day.between(window.start, window.end),
            *narrow(rollup_spend, filters),
        )
        .group_by(s.provider, s.team_id)
    )
    return {
        (provider, team): _spend(numbers, lost.get((provider, team), {}))
        for provider, team, *numbers in tx.execute(query).all()
    }


def cost_by_day_and_provider(
    tx: Tx, organization_id: int, first: date, last: date, filters: Filters
) -> list[tuple[date, str, int]]:
    """(day, provider, cost) of all runs with a price, not code too, from first to last day, both included."""
    s = rollup_spend.c
    cost = s.counted_nanos + s.suggested_nanos + s.pending_nanos + _unlinked() + s.not_code_nanos
    query = (
        select(s.day, s.provider, summed(cost))
        .where(
            s.organization_id == organization_id,
            s.cut == "whole",
            s.day.between(first, last),
            *narrow(rollup_spend, filters),
        )
        .group_by(s.day, s.provider)
    )
    return [(day, provider, total) for day, provider, total in tx.execute(query).all()]


def usage(tx: Tx, organization_id: int, window: Window, filters: Filters) -> Sequence[int]:
    """(runs, succeeded, summed latency in milliseconds, runs with a latency) of a window."""
    s = rollup_spend.c
    query = select(*(summed(s[name]) for name in ("runs", "succeeded", "latency_ms", "timed_runs"))).where(
        *_where(organization_id, "team", window.start, window.end, filters)
    )
    return tuple(tx.execute(query).one())


def latency_counts(
    tx: Tx, organization_id: int, begin: datetime, end: datetime, provider: str | None
) -> list[tuple[int, int]]:
    """(log step, runs) of the latencies in [begin, end), fastest first; see `rollups.latency_step`."""
    h = rollup_latency.c
    query = (
        select(h.step, summed(h.runs))
        .where(h.organization_id == organization_id, h.bucket >= begin, h.bucket < end)
        .group_by(h.step)
        .order_by(h.step)
    )
    if provider is not None:
        query = query.where(h.provider == provider)
    return [(step, runs) for step, runs in tx.execute(query).all()]


def unlinked_reasons(tx: Tx, organization_id: int, scope: str, window: Window, filters: Filters) -> dict[str, int]:
    """Cost of the window's unlinked runs by reason, dearest first; reasons without any are left out."""
    s = rollup_spend.c
    query = select(*(summed(s[f"{reason}_nanos"]) for reason in _REASONS)).where(
        *_where(organization_id, scope, window.start, window.end, filters)
    )
    costs = zip(_REASONS, tx.execute(query).one(), strict=True)
    return dict(sorted(((reason, cost) for reason, cost in costs if cost), key=lambda item: (-item[1], item[0])))


def unmerged(
    tx: Tx, organization_id: int, scope: str, window: Window, comparison: Window, filters: Filters
) -> Unmerged:
    """Linked cost of both windows, the comparison directly before, of pull requests that are not merged."""
    r, key = rollup_links.c, _key(rollup_links, scope)
    found = Unmerged({}, {}, {})
    for outcome, ids in _not_merged(tx, organization_id).items():
        query = _of_pulls(organization_id, ids, comparison.start, window.end, filters, key, r.day)
        for row, day, cost in tx.execute(query).all():
            by_row = found.now if day >= window.start else found.before
            for sums in (by_row.setdefault(row, {}), found.by_day.setdefault(day, {})):
                sums[outcome] = sums.get(outcome, 0) + cost
    return found


def _of_pulls(
    organization_id: int, ids: Sequence[int], first: date, last: date, filters: Filters, *keys: ColumnElement[Any]
) -> Select[Any]:
    """Cost of these days that is linked to these pull requests, by these columns of rollup_links."""
    r = rollup_links.c
    return (
        select(*keys, summed(r.cost_nanos))
        .where(
            r.organization_id == organization_id,
            # Spelled out, as the index of these rows alone is: with a parameter it could not be used.
            r.state == literal_column(f"'{LinkState.COUNTED}'"),
            r.pull_request_id != literal_column("0"),
            one_of(r.pull_request_id, ids),
            r.day.between(first, last),
            *narrow(rollup_links, filters),
        )
        .group_by(*keys)
        # SQLite would read all days instead.
        .with_hint(rollup_links, "INDEXED BY ix_rollup_links_of_pull", "sqlite")
    )


def _not_merged(tx: Tx, organization_id: int) -> dict[str, list[int]]:
    p = pull_requests.c
    merged: ColumnElement[str] = literal_column(f"'{Outcome.MERGED}'")
    ids: dict[str, list[int]] = {}
    query = select(p.outcome, p.id).where(p.organization_id == organization_id, p.outcome != merged)
    for outcome, id in tx.execute(query).all():
        ids.setdefault(outcome, []).append(id)
    gone = _gone(tx, organization_id)
    return ids | ({str(Outcome.DIRECT): [*gone]} if gone else {})


def _gone(tx: Tx, organization_id: int) -> Sequence[int]:
    """Pull requests that runs are linked to and that are not known any more.

    There are some while GitHub's facts are removed, until the linker has looked at their runs again.
    """
    u, p = rollup_pulls.c, pull_requests.c
    known = select(p.id).where(p.id == u.pull_request_id, p.organization_id == organization_id).exists()
    return tx.scalars(select(u.pull_request_id).where(u.organization_id == organization_id, ~known).distinct()).all()


def _columns() -> list[ColumnElement[int]]:
    """What `_spend` takes, in its order."""
    s = rollup_spend.c
    sums = ("ledger_runs", "ledger_priced_runs", "not_code_runs", "counted_nanos", "direct_nanos", "suggested_nanos")
    return [*(s[name] for name in sums), s.pending_nanos, _unlinked(), s.not_code_nanos]


def _unlinked() -> ColumnElement[int]:
    s = rollup_spend.c
    found: ColumnElement[int] = s.no_repo_nanos + s.no_person_nanos + s.no_candidate_nanos + s.rejected_nanos
    return found


def _spend(sums: Sequence[int], lost: Mapping[str, int]) -> Spend:
    runs, priced, not_code_runs, counted, direct, suggested, pending, unlinked, not_code = sums
    elsewhere = {outcome: lost.get(outcome, 0) for outcome in _OUTCOMES}
    direct += lost.get(Outcome.DIRECT, 0)
    return Spend(
        counted=counted,
        merged=counted - direct - sum(elsewhere.values()),
        direct=direct,
        open=elsewhere[Outcome.OPEN],
        abandoned=elsewhere[Outcome.ABANDONED],
        reverted=elsewhere[Outcome.REVERTED],
        suggested=suggested,
        pending=pending,
        unlinked=unlinked,
        not_code=not_code,
        runs=runs,
        not_code_runs=not_code_runs,
        unpriced_runs=runs - priced,
    )


def _key(table: Table, scope: str) -> ColumnElement[int]:
    key: ColumnElement[int] = table.c[f"{scope}_id"]
    return key


def _where(organization_id: int, scope: str, first: date, last: date, filters: Filters) -> list[ColumnElement[bool]]:
    s = rollup_spend.c
    return [
        s.organization_id == organization_id,
        s.cut == cut_of(scope, filters),
        s.day.between(first, last),
        *narrow(rollup_spend, filters),
    ]


def cut_of(scope: str, filters: Filters) -> str:
    """The narrowest cut of rollup_spend that knows both the rows of a report and what its filters ask."""
    other = filters.repository_id if scope == "team" else filters.team_id
    return scope if filters.provider is None and other is None else "whole"


def narrow(table: Table, filters: Filters) -> list[ColumnElement[bool]]:
    """The filters as conditions on a table of sums."""
    chosen = {"team_id": filters.team_id, "repository_id": filters.repository_id, "provider": filters.provider}
    return [table.c[name] == value for name, value in chosen.items() if value is not None]


def summed(column: ColumnElement[int], condition: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """Sum of the rows that meet the condition, 0 for none, as a whole number on every engine."""
    value = column if condition is None else case((condition, column), else_=literal(0))
    return cast(func.coalesce(func.sum(value), 0), BigInteger)
