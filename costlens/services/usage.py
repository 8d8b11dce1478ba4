"""Plan usage, and how a model's tokens usually split."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.plans import WARN_FROM, Plan
from costlens.store import analytics
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.runs import count_received

_SHARE_SECONDS = 300
_shares: dict[tuple[int, int, str, str], tuple[float, float | None]] = {}  # → (until, share)


@dataclass(frozen=True, slots=True)
class PlanUsage:
    plan: str
    runs_this_month: int
    runs_limit: int | None  # None: unlimited

    @property
    def percent_used(self) -> float | None:
        """None: unlimited."""
        return round(100 * self.runs_this_month / self.runs_limit, 1) if self.runs_limit else None

    @property
    def left(self) -> int | None:
        """Runs that may still come this month. None: unlimited."""
        return max(0, self.runs_limit - self.runs_this_month) if self.runs_limit else None

    def after(self, runs: int) -> PlanUsage:
        """The same with so many runs more."""
        return PlanUsage(self.plan, self.runs_this_month + runs, self.runs_limit)

    @property
    def warning(self) -> str | None:
        """What to tell a caller who is near the limit, or past it. None: nothing."""
        percent = self.percent_used
        if percent is None or percent < WARN_FROM:
            return None
        return f"{self.runs_this_month:,} of the {self.plan} plan's {self.runs_limit:,} runs of this month are used"


def plan_usage(store: Store, organization: Organization, plan: Plan, *, now: datetime | None = None) -> PlanUsage:
    """Runs received in this UTC month against the plan's limit; an import of old data counts when it arrives."""
    at = now or datetime.now(UTC)
    start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + 1, month=1) if start.month == 12 else start.replace(month=start.month + 1)
    with store.read() as tx:
        runs = count_received(tx, organization.id, start, end)
    return PlanUsage(plan.name, runs, plan.runs_per_month)


def input_share(store: Store, organization_id: int, provider: str, model: str) -> float | None:
    """Share of input in a model's tokens, 0 to 1, over this organization's exact runs. None: it has none.

    Kept for five minutes: the figure moves slowly and ingest asks for it on every call that sends a bare total.
    """
    key = (id(store), organization_id, provider, model)
    until, share = _shares.get(key, (0.0, None))
    if time.monotonic() < until:
        return share
    with store.read() as tx:
        share = analytics.input_share(tx, organization_id, provider, model)
    _shares[key] = (time.monotonic() + _SHARE_SECONDS, share)
    return share
