"""What the providers' prompt caches saved: cached input at its own rates against the same input at the full one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from costlens.domain.pricing import RateCard

_PICOS_PER_NANO = 1000


@dataclass(frozen=True, slots=True)
class CacheSavings:
    """Money of the cached input of some runs, in nano-dollars, each sum rounded half up."""

    read_nanos: int  # what was read from caches, at its own rate
    read_full_nanos: int  # the same at the rate of input
    written_nanos: int  # what was written into caches, at its own rates
    written_full_nanos: int  # the same at the rate of input

    @property
    def saved_nanos(self) -> int:
        """Saved by reading, less what writing cost on top; negative where caches cost more than they saved."""
        return self.read_full_nanos - self.read_nanos - (self.written_nanos - self.written_full_nanos)


def cache_savings(card: RateCard, *, read: int, written_5m: int, written_1h: int) -> CacheSavings:
    """Savings of so many tokens by one rate card."""
    return CacheSavings(
        read_nanos=_nanos(read * card.cache_read, card),
        read_full_nanos=_nanos(read * card.input_uncached, card),
        written_nanos=_nanos(written_5m * card.cache_write_5m + written_1h * card.cache_write_1h, card),
        written_full_nanos=_nanos((written_5m + written_1h) * card.input_uncached, card),
    )


def sum_of_savings(parts: Iterable[CacheSavings]) -> CacheSavings:
    """All parts together."""
    every = list(parts)
    return CacheSavings(
        sum(one.read_nanos for one in every),
        sum(one.read_full_nanos for one in every),
        sum(one.written_nanos for one in every),
        sum(one.written_full_nanos for one in every),
    )


def _nanos(picos: int, card: RateCard) -> int:
    nano = card.divisor * _PICOS_PER_NANO
    return (2 * picos + nano) // (2 * nano)
