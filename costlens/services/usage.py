"""Plan usage, and how a model's tokens usually split."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.config import PLANS
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
    percent_used: float | None  # None: unlimited


def plan_usage(store: Store, organization: Organization, *, now: datetime | None = None) -> PlanUsage:
    """Runs received in this UTC month against the plan's limit; an import of old data counts when it arrives."""
    at = now or datetime.now(UTC)
    start = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + 1, month=1) if start.month == 12 else start.replace(month=start.month + 1)
    with store.read() as tx:
        runs = count_received(tx, organization.id, start, end)
    limit = PLANS[organization.plan].runs_per_month
    return PlanUsage(organization.plan, runs, limit, round(100 * runs / limit, 1) if limit else None)


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
