"""Token usage of one run as disjoint counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UsageQuality(StrEnum):
    EXACT = "exact"  # the provider's own counts
    SPLIT_ESTIMATE = "split_estimate"  # a true total, split into input and output by estimate
    TEXT_ESTIMATE = "text_estimate"  # counted from the text
    MISSING = "missing"  # nothing known


@dataclass(frozen=True, slots=True)
class Usage:
    """Disjoint token counts: no token stands in two of them."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output_text: int = 0
    output_reasoning: int = 0
    quality: UsageQuality = UsageQuality.EXACT

    @property
    def input(self) -> int:
        """All input tokens, cached ones included."""
        return self.input_uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def output(self) -> int:
        return self.output_text + self.output_reasoning

    @property
    def total(self) -> int:
        return self.input + self.output
