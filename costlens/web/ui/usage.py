"""What the pages of prompts, models and runs share: their filters, the sums behind them, and files on the same URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from flask import request

from costlens.domain.pricing import RateCard
from costlens.store.analytics import Amounts, Where
from costlens.store.usage import TokenSums
from costlens.web.ui.filters import NONE, Dates, a_text, an_id

SHOWN = 100  # rows of a table; the rest is one row, and the files have all
FORMS = ("csv", "json", "ndjson")
SPAN = ("period", "from", "to")
NARROWED = ("team", "repository", "provider", "model", "environment", "tool")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilters(Dates):
    """Whose runs; None: all."""

    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None  # 0: naming no repository
    provider: Annotated[str | None, a_text] = None
    model: Annotated[str | None, a_text] = None
    environment: Annotated[str | None, a_text] = None  # none: naming no environment
    tool: Annotated[str | None, a_text] = None  # none: naming no tool


def where_of(filters: UsageFilters, **more: Any) -> Where:
    """The filters as sums are asked for."""
    return Where(
        provider=filters.provider,
        model=filters.model,
        team_id=filters.team,
        repository_id=filters.repository,
        environment=named(filters.environment),
        tool=named(filters.tool),
        **more,
    )


def named(text: str | None) -> str | None:
    """A name as rollups and runs are asked for it: '' for none."""
    return "" if text == NONE else text


def form_asked() -> str | None:
    """`csv`, `json` or `ndjson`: the page's rows as a file. None: the page itself."""
    form = request.args.get("format")
    return form if form in FORMS else None


def per_run(sums: Amounts | TokenSums) -> int | None:
    """Mean cost of the priced runs in nano-dollars, rounded half up. None: no run has a price."""
    return (2 * sums.cost_nanos + sums.priced_runs) // (2 * sums.priced_runs) if sums.priced_runs else None


def per_thousand(sums: Amounts | TokenSums) -> int | None:
    """The same of a thousand runs."""
    if not sums.priced_runs:
        return None
    return (2000 * sums.cost_nanos + sums.priced_runs) // (2 * sums.priced_runs)


def rate(value: int, card: RateCard) -> str:
    """A rate of a card in dollars for a million tokens: "$2.50", "$0.075"."""
    return exact_dollars(Decimal(value) / card.divisor / 1_000_000)


def exact_dollars(dollars: Decimal) -> str:
    """All digits of an amount, and at least cents: "$2.50", "$0.075"."""
    text = f"{dollars.normalize():,f}"
    whole, _, part = text.partition(".")
    return f"${whole}.{part.ljust(2, '0')}"


def path_part(name: str) -> str:
    """A name as one part of a path, whatever it holds."""
    return quote(name, safe="")


def short(value: int) -> str:
    """A large whole number in millions: "1,274.6 M"; below ten million as it is."""
    return f"{value / 1e6:,.1f} M" if value >= 10_000_000 else f"{value:,}"


def cost_of(sums: Amounts | TokenSums) -> int | None:
    """Nano-dollars. None: there are runs and none has a price."""
    return sums.cost_nanos if sums.priced_runs or not sums.runs else None


def latency_of(sums: Amounts | TokenSums) -> int | None:
    """Mean milliseconds of the runs that tell. None: none does."""
    return round(sums.latency_ms / sums.timed_runs) if sums.timed_runs else None


def share(part: float, whole: float) -> float | None:
    """0 to 1. None: there is no whole."""
    return part / whole if whole else None


# The value that a column of these tables sorts by; None sorts last in both directions.
SORT_VALUES: Mapping[str, Callable[[Any], float | None]] = {
    "cost": cost_of,
    "runs": lambda sums: sums.runs,
    "per_run": per_run,
    "success": lambda sums: share(sums.succeeded, sums.runs),
    "latency": latency_of,
    "tokens": lambda sums: sums.tokens,
}


def in_order(rows: Iterable[Row], value_of: Callable[[Row], float | None], *, ascending: bool) -> Sequence[Row]:
    """Rows by a value, unknown ones last; those that are equal stay in the order that they have."""

    def order(row: Row) -> tuple[bool, float]:
        value = value_of(row)
        return value is None, (value or 0) * (1 if ascending else -1)

    return sorted(rows, key=order)
