"""The models of a period's runs with their prices of now, what has no price, and what caches saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.cache_savings import CacheSavings, cache_savings, sum_of_savings
from costlens.domain.pricing import RateCard, find_card
from costlens.domain.roi import Window
from costlens.services.money import own_prices
from costlens.store.analytics import Where
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.usage import ModelSums, TokenSums, sum_of, sums_of_models

_EVERYTHING = Where()


@dataclass(frozen=True, slots=True)
class ModelUse:
    sums: ModelSums
    card: RateCard | None  # of now, for a run of few tokens. None: no price is known
    own: bool  # the organization's own price or alias holds

    @property
    def unpriced_runs(self) -> int:
        """Runs whose cost is unknown."""
        return self.sums.runs - self.sums.priced_runs

    @property
    def savings(self) -> CacheSavings | None:
        """What caches saved by the prices of now. None: no price is known."""
        if self.card is None:
            return None
        sums = self.sums
        return cache_savings(
            self.card, read=sums.cache_read, written_5m=sums.cache_write_5m, written_1h=sums.cache_write_1h
        )


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The models add up to the total."""

    window: Window
    models: list[ModelUse]  # dearest first
    total: TokenSums
    savings: CacheSavings  # of the models whose price is known

    @property
    def unpriced(self) -> int:
        """Models without a price."""
        return sum(one.card is None for one in self.models)


def models(
    store: Store, organization: Organization, window: Window, where: Where = _EVERYTHING, *, now: datetime | None = None
) -> ModelReport:
    """The models of a window in the organization's own zone."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        rows = sums_of_models(tx, organization.id, window.start, window.end, where)
        overrides = own_prices(tx, organization.id)
    own = {(one.provider.lower(), one.model.lower()) for one in overrides if one.effective_from <= at}
    found = [
        ModelUse(
            row,
            find_card(row.provider, row.model, at, overrides=overrides),
            (row.provider.lower(), row.model.lower()) in own,
        )
        for row in sorted(rows, key=lambda row: (-row.cost_nanos, row.provider, row.model))
    ]
    savings = sum_of_savings(each for one in found if (each := one.savings))
    return ModelReport(window, found, sum_of(rows), savings)
