"""The overview: cost, runs, tokens, success and latency of a period, with days, models and providers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from costlens.domain.errors import InvalidInput
from costlens.domain.periods import day_start
from costlens.domain.roi import Window
from costlens.services.groups import Group, GroupBy, read_groups
from costlens.store import analytics
from costlens.store.analytics import Amounts, GroupSums, Sums, Where
from costlens.store.engine import Store
from costlens.store.organizations import Organization

_DAY, _QUARTER = timedelta(days=1), timedelta(minutes=15)


@dataclass(slots=True)
class Totals:
    runs: int = 0
    succeeded: int = 0
    priced_runs: int = 0
    exact_runs: int = 0
    cost_nanos: int = 0
    latency_ms: int = 0
    timed_runs: int = 0
    tokens: int = 0

    def add(self, row: Amounts) -> None:
        self.runs += row.runs
        self.succeeded += row.succeeded
        self.priced_runs += row.priced_runs
        self.exact_runs += row.exact_runs
        self.cost_nanos += row.cost_nanos
        self.latency_ms += row.latency_ms
        self.timed_runs += row.timed_runs
        self.tokens += row.tokens


@dataclass(frozen=True, slots=True)
class Overview:
    window: Window
    total: Totals
    days: dict[date, Totals]  # every day of the window, days without runs included
    models: dict[str, Totals]  # dearest first
    providers: dict[str, Totals]  # dearest first
    data_through: datetime | None  # None: no runs at all
    linked: float | None  # counted ÷ code cost, 0 to 1. None: no code cost, or not known of what is asked
    groups: tuple[Group, ...] | None  # None: not asked for


def overview(
    store: Store,
    organization: Organization,
    window: Window,
    where: Where | None = None,
    *,
    group_by: GroupBy | None = None,
) -> Overview:
    """Sums of a window in any time zone; with a team, repository, prompt or groups only in the organization's own.

    Raises InvalidInput on `timezone` otherwise: the rollup that knows those keeps whole days of that zone.
    """
    narrow = where or Where()
    own_days = replace(narrow, provider=None, model=None) != Where()  # what the quarter hours do not know
    if (own_days or group_by) and window.timezone != organization.timezone:
        raise InvalidInput(
            "With groupBy, or a filter other than provider and model, the time zone must be the organization's, "
            f"{organization.timezone}",
            field="timezone",
        )
    models: list[GroupSums] | None = None  # None: the rows tell
    with store.read() as tx:
        if narrow == Where() and window.timezone == organization.timezone:
            rows = analytics.sums_of_providers(tx, organization.id, window.start, window.end)
            models = analytics.sums_by_dimension(tx, organization.id, "model", window.start, window.end)
        elif own_days:
            rows = analytics.sums_of_days(tx, organization.id, window.start, window.end, narrow)
        else:
            rows = analytics.sums_of_quarters(tx, organization.id, spans(window), narrow)
        through = analytics.data_through(tx, organization.id)
        costs = analytics.linked_cost(tx, organization.id, window.start, window.end, narrow)
        groups = read_groups(tx, organization.id, window, narrow, group_by) if group_by else None
    total = Totals()
    days = {window.start + timedelta(days=n): Totals() for n in range(window.days)}
    for row in rows:
        total.add(row)
        days[row.day].add(row)
    by_model = _dearest(rows, "model") if models is None else _dearest(models, "value")
    by_provider = _dearest(rows, "provider")
    linked = costs[0] / costs[1] if costs and costs[1] else None
    return Overview(window, total, days, by_model, by_provider, through, linked, groups)


def _dearest(rows: Iterable[Sums | GroupSums], name: str) -> dict[str, Totals]:
    """Sums by what the rows call so."""
    groups: dict[str, Totals] = defaultdict(Totals)
    for row in rows:
        groups[getattr(row, name)].add(row)
    return dict(sorted(groups.items(), key=lambda item: (-item[1].cost_nanos, item[0])))


def spans(window: Window) -> list[tuple[datetime, datetime, timedelta]]:
    """The window in UTC, cut where the offset of its time zone changes: (start, end, offset)."""
    zone = ZoneInfo(window.timezone)
    end = day_start(window.end + timedelta(days=1), window.timezone)
    found: list[tuple[datetime, datetime, timedelta]] = []
    at = day_start(window.start, window.timezone)
    while at < end:
        offset = at.astimezone(zone).utcoffset() or timedelta()
        # A day at a time, but by quarter hours through a day in which the clocks change.
        step = next(
            size for size in (_DAY, _QUARTER) if size == _QUARTER or (at + size).astimezone(zone).utcoffset() == offset
        )
        stop = min(end, at + step)
        if found and found[-1][2] == offset:
            found[-1] = (found[-1][0], stop, offset)
        else:
            found.append((at, stop, offset))
        at = stop
    return found
