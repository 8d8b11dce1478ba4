"""The list prices that are in use, model by model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from costlens.domain.pricing import find_card
from costlens.domain.rate_cards import RateCard


@dataclass(frozen=True, slots=True)
class Listed:
    provider: str
    model: str
    card: RateCard


@lru_cache(maxsize=4)
def price_list(at: datetime) -> tuple[Listed, ...]:
    """Every model that has a price by tokens at a moment, by provider and name; about a second of work the first time.

    Give a moment that stays the same for a while, such as the start of the day.
    """
    from genai_prices.data_snapshot import get_snapshot

    found = []
    for provider in get_snapshot().providers:
        for model in provider.models:
            card = find_card(provider.id, model.id, at)
            if card is not None:
                found.append(Listed(provider.id, model.id, card))
    return tuple(sorted(found, key=lambda one: (one.provider, one.model)))
