"""What a run costs: tokens times a rate card, rounded once, in integer nano-dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from costlens.domain.errors import InvalidInput
from costlens.domain.rate_cards import COLUMNS, Override, RateCard, find_card
from costlens.domain.shown import NANOS
from costlens.domain.usage import Usage, UsageQuality

__all__ = ["Override", "Price", "PriceLine", "RateCard", "cost_nanos", "explain", "find_card", "parse_usd", "price_run"]

_PICOS_PER_NANO = 1000
_MOST_REPORTED_USD = 10**6


@dataclass(frozen=True, slots=True)
class Price:
    """The money of one run, in nano-dollars."""

    cost_nanos: int | None  # None: unpriced
    list_cost_nanos: int | None  # by the rate card, whatever the caller reported. None: no card or tokens unknown
    status: str  # priced, reported, estimated, unpriced, free
    card: RateCard | None  # None: the model has no known price

    @property
    def version(self) -> str | None:
        """The price version kept on the run; None without a rate card."""
        return self.card.version if self.card else None


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of a run's price: the lines' costs sum to its total."""

    column: str  # a usage column, or "run" for what is billed once a run
    quantity: int  # tokens
    picos: Decimal  # pico-dollars for one
    cost_nanos: int


def price_run(
    usage: Usage,
    provider: str,
    model: str,
    at: datetime,
    *,
    processing: str | None = None,
    service_tier: str | None = None,
    reported_nanos: int | None = None,
    overrides: Sequence[Override] = (),
) -> Price:
    """The price of a run at an aware time; a cost that the caller reports stands, the list cost is given beside it."""
    card = find_card(
        provider,
        model,
        at,
        processing=processing,
        service_tier=service_tier,
        input_tokens=usage.input,
        overrides=overrides,
    )
    known = card is not None and usage.quality is not UsageQuality.MISSING
    list_nanos = cost_nanos(usage, card) if card is not None and known else None
    if reported_nanos is not None:
        return Price(reported_nanos, list_nanos, "reported", card)
    if card is None or list_nanos is None:
        return Price(None, None, "unpriced", card)
    if card.free:
        return Price(0, 0, "free", card)
    exact = usage.quality is UsageQuality.EXACT and not card.approximate
    return Price(list_nanos, list_nanos, "priced" if exact else "estimated", card)


def cost_nanos(usage: Usage, card: RateCard) -> int:
    """Tokens times rates in nano-dollars, rounded half up once."""
    picos = (
        usage.input_uncached * card.input_uncached
        + usage.cache_read * card.cache_read
        + usage.cache_write_5m * card.cache_write_5m
        + usage.cache_write_1h * card.cache_write_1h
        + usage.output_text * card.output_text
        + usage.output_reasoning * card.output_reasoning
        + card.per_run
    )
    nano = card.divisor * _PICOS_PER_NANO
    return (2 * picos + nano) // (2 * nano)


def explain(usage: Usage, card: RateCard) -> tuple[PriceLine, ...]:
    """The price of a run by token class; nanos lost to rounding go to the lines with the largest remainders."""
    nano = card.divisor * _PICOS_PER_NANO
    parts = [(column, getattr(usage, column), rate) for column, rate in zip(COLUMNS, card.rates, strict=True)]
    parts = [part for part in parts if part[1]]
    if card.per_run:
        parts.append(("run", 1, card.per_run))
    costs = [quantity * rate // nano for _, quantity, rate in parts]
    missing = cost_nanos(usage, card) - sum(costs)
    by_remainder = sorted(range(len(parts)), key=lambda i: -(parts[i][1] * parts[i][2] % nano))
    for i in by_remainder[:missing]:
        costs[i] += 1
    return tuple(
        PriceLine(column, quantity, Decimal(rate) / card.divisor, cost)
        for (column, quantity, rate), cost in zip(parts, costs, strict=True)
    )


def parse_usd(value: object) -> int:
    """A caller's cost in dollars (number or text) as nano-dollars, rounded half up; InvalidInput on `cost`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InvalidInput("cost must be a number of dollars", field="cost")
    try:
        # repr is the shortest text of a float, so 0.1 stays 0.1.
        dollars = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        raise InvalidInput("cost must be a number of dollars", field="cost") from None
    if not dollars.is_finite() or dollars < 0:
        raise InvalidInput("cost must not be negative", field="cost")
    if dollars > _MOST_REPORTED_USD:
        raise InvalidInput(f"cost must be at most {_MOST_REPORTED_USD} dollars", field="cost")
    return int((dollars * NANOS).to_integral_value(ROUND_HALF_UP))
