"""What an organization should know of its cost now: alerts from the ledger, and recommendations with their savings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.domain.plans import Plan
from costlens.domain.pricing import cost_nanos, find_card
from costlens.domain.recommendations import ModelUse, Recommendation, recommend
from costlens.domain.usage import Usage
from costlens.services.forecasting import Outlook
from costlens.services.routing import records
from costlens.services.usage import plan_usage
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.savings import model_sums

_SPIKE = 2.0  # times the usual day
_LEAST_NANOS = 1_000_000_000  # a dollar: what is less is no news
_RISE = 1.25  # week on week


@dataclass(frozen=True, slots=True)
class CostAlert:
    kind: str  # spend, limit, pricing
    severity: str  # medium, high
    message: str
    current_nanos: int | None  # None: not about money
    threshold_nanos: int | None
    at: datetime

    @property
    def id(self) -> str:
        """The same alert of the same day has the same id."""
        said = f"{self.kind} {self.at:%Y-%m-%d} {self.message.split(':')[0]}"
        return f"alert_{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def alerts(
    store: Store, organization: Organization, plan: Plan, ahead: Outlook, *, now: datetime | None = None
) -> list[CostAlert]:
    """What is unusual today: spend, models that rise, the plan's month, models without a price."""
    at = now or datetime.now(UTC)
    found: list[CostAlert] = []
    usual = [ahead.spent.get(ahead.today - timedelta(days=7 * n), 0) for n in (1, 2, 3, 4)]
    expected = sum(usual) // 4
    spent = ahead.spent.get(ahead.today, 0)
    if expected and spent > max(_SPIKE * expected, _LEAST_NANOS):
        text = f"Today's spend is unusual: ${spent / 1e9:,.2f}, {spent / expected:.1f} times the usual day"
        found.append(CostAlert("spend", "high", text, spent, round(_SPIKE * expected), at))
    found += _rising(store, organization, at)
    used = plan_usage(store, organization, plan, now=at)
    if used.warning:
        severity = "high" if used.left == 0 else "medium"
        found.append(CostAlert("limit", severity, f"Monthly runs: {used.warning}", None, None, at))
    for one in records(store, organization.id, now=at).models:
        if one.priced_runs < one.runs:
            text = f"{one.model} has no known price: the cost of {one.runs - one.priced_runs:,} runs is missing"
            found.append(CostAlert("pricing", "medium", text, None, None, at))
    return found


def _rising(store: Store, organization: Organization, at: datetime) -> list[CostAlert]:
    """Models that cost a quarter more in the last seven days than in the seven before."""
    week = timedelta(days=7)
    with store.read() as tx:
        now = {(one.provider, one.model): one.cost_nanos for one in model_sums(tx, organization.id, at - week)}
        both = {(one.provider, one.model): one.cost_nanos for one in model_sums(tx, organization.id, at - 2 * week)}
    found = []
    for (provider, model), cost in now.items():
        before = both.get((provider, model), 0) - cost
        if before > 0 and cost > max(_RISE * before, before + _LEAST_NANOS):
            text = f"Cost trending up for {model}: ${cost / 1e9:,.2f} in 7 days, ${before / 1e9:,.2f} in the 7 before"
            found.append(CostAlert("spend", "medium", text, cost, round(_RISE * before), at))
    return found


def recommendations(
    store: Store, organization: Organization, *, now: datetime | None = None
) -> Sequence[Recommendation]:
    """What would cost less, the most saving first."""
    at = now or datetime.now(UTC)
    known = records(store, organization.id, now=at)
    uses = [
        ModelUse(
            one.provider,
            one.model,
            one.runs,
            one.succeeded,
            one.runs - one.priced_runs,
            one.cost_nanos,
            one.input_tokens - one.cached_tokens,
            one.cached_tokens,
            one.output_tokens,
        )
        for one in known.models
    ]

    def cost_of(provider: str, model: str, uncached: int, cached: int, output: int) -> int | None:
        card = find_card(provider, model, at, overrides=known.overrides)
        usage = Usage(input_uncached=uncached, cache_read=cached, output_text=output)
        return cost_nanos(usage, card) if card else None

    return recommend(uses, cost_of)
