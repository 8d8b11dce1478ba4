"""The forecast of an organization's cost: one source for the dashboard, predictions and whoever else looks ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from costlens.domain.forecast import Forecast, forecast
from costlens.domain.periods import local_day
from costlens.store import analytics
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.savings import saved_by_day

HISTORY_DAYS = 400


@dataclass(frozen=True, slots=True)
class Outlook:
    forecast: Forecast
    today: date
    spent: dict[date, int]  # nano-dollars by day, today (so far) included
    runs_a_day: float  # mean of the last four weeks
    cost_a_run: float  # nano-dollars, of the last four weeks
    data_through: datetime | None  # None: no runs at all


def outlook(store: Store, organization: Organization, *, horizon: int = 30, now: datetime | None = None) -> Outlook:
    """The days to come in the organization's own time zone; today's cost, which is not whole yet, is left out."""
    today = local_day(now or datetime.now(UTC), organization.timezone)
    first = today - timedelta(days=HISTORY_DAYS)
    with store.read() as tx:
        rows = saved_by_day(tx, organization.id, first, today)
        through = analytics.data_through(tx, organization.id)
    history = [rows.get(first + timedelta(days=n), (0, 0, 0))[1] for n in range(HISTORY_DAYS)]
    recent = [rows[day] for day in rows if day >= today - timedelta(days=28) and day < today]
    runs = sum(row[0] for row in recent)
    cost = sum(row[1] for row in recent)
    spent = {day: row[1] for day, row in rows.items()}
    ahead = forecast(history, today, horizon=horizon)
    return Outlook(ahead, today, spent, runs / 28, cost / runs if runs else 0.0, through)
