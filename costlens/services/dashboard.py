"""The figures of GET /dashboard/stats and GET /savings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from costlens.domain.periods import bounds
from costlens.domain.roi import Window
from costlens.services.analytics import Overview, Totals, overview
from costlens.services.forecasting import Outlook, outlook
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.routing import feedback_scores
from costlens.store.savings import Routed, routed, saved_by, saved_by_day


@dataclass(frozen=True, slots=True)
class ProviderStat:
    provider: str
    totals: Totals
    quality: float | None  # mean of people's feedback, 0 to 1. None: none


@dataclass(frozen=True, slots=True)
class Dashboard:
    overview: Overview
    saved_nanos: int
    routed: Routed
    ahead: Outlook
    providers: tuple[ProviderStat, ...]

    @property
    def enforced(self) -> int:
        """Runs whose model is the one that was asked for."""
        return self.overview.total.runs - self.routed.upgrades - self.routed.downgrades


@dataclass(frozen=True, slots=True)
class Savings:
    window: Window
    cost_nanos: int
    saved_nanos: int
    routed: Routed
    days: dict[date, tuple[int, int, int]]  # (runs, cost, saved)
    models: dict[str, tuple[int, int, int]]
    providers: dict[str, tuple[int, int, int]]


def savings_roi(saved_nanos: int, cost_nanos: int) -> int:
    """Savings in percent of cost, rounded half up; 0 where nothing was spent."""
    if not cost_nanos:
        return 0
    return int((Decimal(100 * saved_nanos) / cost_nanos).to_integral_value(ROUND_HALF_UP))


def dashboard(store: Store, organization: Organization, window: Window, *, now: datetime | None = None) -> Dashboard:
    """Everything that the dashboard shows of a window in the organization's own zone, and the days ahead."""
    found = overview(store, organization, window)
    since, until = bounds(window)
    with store.read() as tx:
        saved = saved_by_day(tx, organization.id, window.start, window.end)
        routes = routed(tx, organization.id, since, until)
        scores = feedback_scores(tx, organization.id, since, until)
    sums: dict[str, tuple[float, int]] = {}
    for (provider, _), (score, many) in scores.items():
        if provider is not None:
            before = sums.get(provider, (0.0, 0))
            sums[provider] = (before[0] + score, before[1] + many)
    providers = tuple(
        ProviderStat(name, totals, sums[name][0] / sums[name][1] if name in sums else None)
        for name, totals in found.providers.items()
    )
    total = sum(row[2] for row in saved.values())
    return Dashboard(found, total, routes, outlook(store, organization, now=now), providers)


def savings(store: Store, organization: Organization, window: Window) -> Savings:
    """What routing and caching saved in a window in the organization's own zone."""
    since, until = bounds(window)
    with store.read() as tx:
        known = saved_by_day(tx, organization.id, window.start, window.end)
        models = saved_by(tx, organization.id, "model", window.start, window.end)
        providers = saved_by(tx, organization.id, "provider", window.start, window.end)
        routes = routed(tx, organization.id, since, until)
    days = {window.start + timedelta(days=n): (0, 0, 0) for n in range(window.days)} | known
    cost, saved = (sum(row[place] for row in known.values()) for place in (1, 2))
    return Savings(window, cost, saved, routes, days, _most(models), _most(providers))


def _most(groups: dict[str, tuple[int, int, int]]) -> dict[str, tuple[int, int, int]]:
    """The most saving first, without those that no run is of."""
    named = [(name, sums) for name, sums in groups.items() if sums[0]]
    return dict(sorted(named, key=lambda item: (-item[1][2], -item[1][1], item[0])))
