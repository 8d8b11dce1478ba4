"""Shapes of prices and repricing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Dollars, Instant, Shape

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


class ModelShape(Shape):
    provider: str
    model: str
    runs: Count
    unpriced_runs: Count
    cost: Cost
    tokens: Count
    priced: bool
    own_price: bool
    rates: Annotated[Rates | None, msgspec.Meta(description="null: no price is known")]
    price_source: str | None
    price_version: str | None
    price_model: Annotated[str | None, msgspec.Meta(description="Whose price it is")]


class Models(Shape):
    models: list[ModelShape]
    unpriced: Annotated[int, msgspec.Meta(description="Models without a price")]
    days: Count


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
