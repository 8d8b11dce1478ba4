"""Runs out: pages of them, and one with the reasons for its cost and its links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from costlens.domain.errors import NotFound
from costlens.domain.periods import bounds
from costlens.domain.pricing import Override, PriceLine, RateCard, cost_nanos, explain, find_card
from costlens.domain.roi import Window
from costlens.domain.usage import Usage
from costlens.services.analytics import spans
from costlens.store import links as link_store
from costlens.store import runs as run_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization, price_overrides
from costlens.store.run_days import DayOfRuns, days_of_runs
from costlens.store.runs import RunFilter, RunTotals, usage_of

__all__ = [
    "Page",
    "RunDetails",
    "bounds",
    "bounds_of",
    "days",
    "neighbours",
    "page_of_links",
    "page_of_runs",
    "run_details",
    "total_of",
    "totals",
    "without_cache",
]


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    more: bool


@dataclass(frozen=True, slots=True)
class RunDetails:
    run: Any
    card: RateCard | None  # None: unpriced
    lines: tuple[PriceLine, ...]  # empty: unpriced
    links: Sequence[Any]
    decisions: Sequence[Any]  # what people said of it


def page_of_runs(
    store: Store,
    organization: Organization,
    where: RunFilter,
    *,
    limit: int,
    before: tuple[datetime, int] | None = None,
    ascending: bool = False,
) -> Page:
    """Runs of a filter, newest first or else oldest first; `before` is the (occurred_at, id) of the last run shown."""
    with store.read() as tx:
        rows = run_store.list_runs(tx, organization.id, where, limit=limit + 1, before=before, ascending=ascending)
    return Page(rows[:limit], len(rows) > limit)


def totals(store: Store, organization_id: int, where: RunFilter) -> RunTotals:
    """Count and cost of all runs of a filter, on all pages."""
    with store.read() as tx:
        return run_store.total_runs(tx, organization_id, where)


def days(store: Store, organization_id: int, window: Window, where: RunFilter) -> list[DayOfRuns]:
    """Runs and cost of each day of a window that has any, in the organization's own zone, under the same filter."""
    with store.read() as tx:
        return days_of_runs(tx, organization_id, window.start, window.end, spans(window), where)


def bounds_of(window: Window, days: Sequence[DayOfRuns]) -> tuple[datetime, datetime]:
    """The half-open span in UTC from the first to the last of these days of a window, which have all the runs of a
    filter: a list need not look for more outside. Empty for no days.
    """
    if not days:
        since, _ = bounds(window)
        return since, since
    return bounds(replace(window, start=days[0].day, end=days[-1].day))


def total_of(days: Iterable[DayOfRuns]) -> RunTotals:
    """All days together."""
    every = list(days)
    runs = sum(day.runs for day in every)
    return RunTotals(runs, sum(day.cost_nanos for day in every), runs - sum(day.priced_runs for day in every))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The runs beside one in its session."""

    before: Any  # None: it is the first, or names no session
    after: Any  # None: it is the last, or names no session


def neighbours(store: Store, organization_id: int, run: Any) -> Neighbours:
    """What came before and after a run in its session."""
    if run.session_id is None:
        return Neighbours(None, None)
    with store.read() as tx:
        return Neighbours(*run_store.beside(tx, organization_id, run.session_id, run.occurred_at, run.id))


def without_cache(run: Any, card: RateCard) -> int:
    """What a run's tokens cost with all input at the full rate, in nano-dollars."""
    usage = usage_of(dict(run._mapping))
    return cost_nanos(
        Usage(
            input_uncached=usage.input,
            output_text=usage.output_text,
            output_reasoning=usage.output_reasoning,
            quality=usage.quality,
        ),
        card,
    )


def page_of_links(
    store: Store,
    organization_id: int,
    *,
    limit: int,
    after: tuple[int, int] | None = None,
    state: str | None = None,
    repository_id: int | None = None,
    run_id: int | None = None,
) -> Page:
    """Links that hold now, those of the newest run first; `after` is the (run_id, id) of the last one already shown.

    `rejected` ones are those kept as the reason of an unlinked run.
    """
    with store.read() as tx:
        rows = link_store.list_links(
            tx,
            organization_id,
            limit=limit + 1,
            after=after,
            state="unlinked" if state == "rejected" else state,
            repository_id=repository_id,
            run_id=run_id,
        )
    return Page(rows[:limit], len(rows) > limit)


def run_details(store: Store, organization: Organization, run_id: int) -> RunDetails:
    """One run, why it costs what it does, and its links. Raises NotFound, also for another organization's run."""
    with store.read() as tx:
        rows = run_store.list_runs(tx, organization.id, RunFilter(run_id=run_id), limit=1)
        if not rows:
            raise NotFound("No such run")
        links = link_store.list_links(tx, organization.id, limit=100, run_id=run_id)
        decisions = link_store.told_decisions(tx, organization.id, run_id)
        overrides = price_overrides(tx, organization.id)
    run = rows[0]
    usage = usage_of(dict(run._mapping))
    card = find_card(
        run.provider,
        run.model,
        run.occurred_at,
        processing=run.processing,
        service_tier=run.service_tier,
        input_tokens=usage.input,
        overrides=[Override(o.provider, o.model, o.effective_from, o.alias_of, o.picos) for o in overrides],
    )
    return RunDetails(run, card, explain(usage, card) if card else (), links, decisions)
