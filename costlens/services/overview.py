"""The overview page: what AI cost, how it ran, where the money went, and what changed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from costlens.domain.periods import previous_window
from costlens.domain.roi import Filters, RoiReport, Spend, Window
from costlens.services.reports import roi_report_in
from costlens.store import analytics, reports, roi_spend
from costlens.store.analytics import GroupSums, Where
from costlens.store.engine import Store, Tx

# What became of the money, in the order in which it is shown.
OUTCOMES = ("merged", "direct", "open", "abandoned", "reverted", "suggested", "pending", "unlinked", "not_code")


@dataclass(frozen=True, slots=True)
class Flow:
    """Money of one provider and team with one outcome; never 0."""

    provider: str
    team: int  # 0: none
    outcome: str  # one of OUTCOMES
    cost: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How the runs of a window went."""

    runs: int
    succeeded: int
    mean_ms: int | None  # None: no latency is known
    median_ms: int | None  # None: not known, or it is asked by team or repository
    p95_ms: int | None  # as median_ms

    @property
    def success_rate(self) -> float | None:
        """0 to 1. None: no runs."""
        return self.succeeded / self.runs if self.runs else None


@dataclass(frozen=True, slots=True)
class ProviderDay:
    day: date
    costs: Mapping[str, int]  # by provider
    previous: int  # of all providers, that many days earlier


@dataclass(frozen=True, slots=True)
class Overview:
    report: RoiReport  # by repository: total, rows, comparison
    usage: Usage
    usage_before: Usage
    flows: tuple[Flow, ...]  # they add up to the total cost
    teams: Mapping[int, str]
    days: tuple[ProviderDay, ...]
    providers: tuple[str, ...]  # dearest first
    prompts: tuple[GroupSums, ...]  # dearest first; value '': none


def money_overview(store: Store, organization_id: int, *, window: Window, filters: Filters) -> Overview:
    """All that the page shows. Raises as `roi_report_in` does."""
    before = previous_window(window)
    with store.read() as tx:
        report = roi_report_in(tx, organization_id, "repository", window=window, filters=filters)
        sources = roi_spend.spend_by_source(tx, organization_id, window, filters)
        cells = roi_spend.cost_by_day_and_provider(tx, organization_id, before.start, window.end, filters)
        usage, usage_before = _usage(tx, organization_id, window, before, filters)
        teams = {id: fact.name for id, fact in reports.team_facts(tx, organization_id).items()}
        prompts = _prompts(tx, organization_id, window, filters)
    providers: dict[str, int] = defaultdict(int)
    for (provider, _), spend in sources.items():
        providers[provider] += spend.total
    return Overview(
        report=report,
        usage=usage,
        usage_before=usage_before,
        flows=tuple(_flows(sources)),
        teams=teams,
        days=_days(cells, window),
        providers=tuple(sorted((name for name, cost in providers.items() if cost), key=lambda n: (-providers[n], n))),
        prompts=tuple(sorted(prompts, key=lambda row: (not row.value, -row.cost_nanos, row.value))),
    )


def _flows(sources: Mapping[tuple[str, int], Spend]) -> list[Flow]:
    return [
        Flow(provider, team, outcome, cost)
        for (provider, team), spend in sorted(sources.items())
        for outcome in OUTCOMES
        if (cost := getattr(spend, outcome))
    ]


def _days(cells: Sequence[tuple[date, str, int]], window: Window) -> tuple[ProviderDay, ...]:
    costs: dict[date, dict[str, int]] = defaultdict(dict)
    for day, provider, cost in cells:
        costs[day][provider] = cost
    length = timedelta(days=window.days)
    days = [window.start + timedelta(days=n) for n in range(window.days)]
    return tuple(ProviderDay(day, costs.get(day, {}), sum(costs.get(day - length, {}).values())) for day in days)


def _usage(tx: Tx, organization_id: int, window: Window, before: Window, filters: Filters) -> tuple[Usage, Usage]:
    sums = roi_spend.usage(tx, organization_id, window, before, filters)
    steps: tuple[Sequence[tuple[int, int]], ...] = ((), ())
    if filters.team_id is None and filters.repository_id is None:
        steps = roi_spend.latency_counts(tx, organization_id, window, before, filters.provider)
    now, earlier = (
        Usage(
            runs, succeeded, round(latency / timed) if timed else None, _percentile(part, 0.5), _percentile(part, 0.95)
        )
        for (runs, succeeded, latency, timed), part in zip(sums, steps, strict=True)
    )
    return now, earlier


def _percentile(steps: Sequence[tuple[int, int]], share: float) -> int | None:
    """The middle of the step in which that share of the runs is reached, at most 5 % off. None: no runs."""
    left = share * sum(runs for _, runs in steps)
    for step, runs in steps:
        left -= runs
        if runs and left <= 0:
            return round(math.pow(1.1, step + 0.5))
    return None


def _prompts(tx: Tx, organization_id: int, window: Window, filters: Filters) -> list[GroupSums]:
    if filters == Filters():
        return analytics.sums_by_dimension(tx, organization_id, "prompt", window.start, window.end)
    where = Where(provider=filters.provider, team_id=filters.team_id, repository_id=filters.repository_id)
    return analytics.sums_by_dimension_where(tx, organization_id, "prompt", window.start, window.end, where)
