"""Shapes of prices and repricing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Dollars, Instant, Percent, Shape, Share

Rate = Annotated[float, msgspec.Meta(description="US dollars for a million tokens")]


class Rates(Shape):
    """US dollars for a million tokens of each class; a run may cost something once on top."""

    input_uncached: Rate
    cache_read: Rate
    cache_write_5m: Rate = msgspec.field(name="cacheWrite5m")
    cache_write_1h: Rate = msgspec.field(name="cacheWrite1h")
    output_text: Rate
    output_reasoning: Rate
    per_run: Dollars


class CacheShape(Shape):
    """What the provider's prompt cache did, at the prices of now."""

    cached_share: Annotated[Share | None, msgspec.Meta(description="Of the input, read from a cache; null: no input")]
    read_tokens: Count
    read_cost: Cost
    read_at_input_price: Cost
    written_tokens: Count
    written_cost: Cost
    written_at_input_price: Cost
    saved: Annotated[float | None, msgspec.Meta(description="US dollars, negative where it cost more; null: no price")]


class TokenCounts(Shape):
    """Each token is in exactly one class."""

    input_uncached: Count
    cache_read: Count
    cache_write_5m: Count = msgspec.field(name="cacheWrite5m")
    cache_write_1h: Count = msgspec.field(name="cacheWrite1h")
    output_text: Count
    output_reasoning: Count


class ModelSums(Shape):
    runs: Count
    unpriced_runs: Count
    cost: Cost
    share: Annotated[Share | None, msgspec.Meta(description="Of the cost of all models; null: nothing was spent")]
    cost_per_thousand_runs: Cost
    tokens: Count
    token_counts: TokenCounts
    success_rate: Annotated[Percent, msgspec.Meta(description="Percent")]
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]
    cache: CacheShape


class ModelShape(ModelSums):
    provider: str
    model: str
    priced: bool
    own_price: bool
    rates: Annotated[Rates | None, msgspec.Meta(description="null: no price is known")]
    price_source: str | None
    price_version: str | None
    price_model: Annotated[str | None, msgspec.Meta(description="Whose price it is")]
    price_since: Annotated[Instant | None, msgspec.Meta(description="null: no earlier price is known, or none at all")]


class Models(Shape):
    """All models add up to `total`, also where `priced` leaves some out."""

    models: list[ModelShape]
    total: ModelSums
    unpriced: Annotated[int, msgspec.Meta(description="Models without a price")]
    days: Count
    start_date: Day
    end_date: Day
    timezone: str


class OwnPriceShape(Shape):
    id: int
    provider: str
    model: str
    effective_from: Instant
    alias_of: str | None
    rates: Annotated[Rates | None, msgspec.Meta(description="null: an alias")]
    created_at: Instant


class OwnPrices(Shape):
    prices: list[OwnPriceShape]


class RepricedModel(Shape):
    provider: str
    model: str
    runs: Count
    cost_before: Dollars
    cost_after: Dollars
    unpriced_before: Count
    unpriced_after: Count


class Repriced(Shape):
    """What repricing changes, or changed. Reported costs stay."""

    success: Literal[True]
    applied: bool
    queued: Annotated[bool, msgspec.Meta(description="Too many runs for one request: a job does it")]
    runs: Annotated[int, msgspec.Meta(description="Looked at")]
    changed: Count
    cost_before: Dollars
    cost_after: Dollars
    difference: Dollars
    unpriced_before: Count
    unpriced_after: Count
    by_model: list[RepricedModel]


class PriceSet(Shape):
    success: Literal[True]
    price: OwnPriceShape
    repriced: Annotated[Repriced | None, msgspec.Meta(description="null: no back-fill was asked for")]


class ListPrice(Shape):
    provider: str
    model: str
    input: Rate
    output: Rate
    cache_read: Rate


class ListPrices(Shape):
    success: Literal[True]
    pricing: list[ListPrice]
    source: str
    date: Day
