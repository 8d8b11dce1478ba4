"""What would cost less, from what runs have shown: each with the money of 30 days that it would have saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_RUNS = 50  # of the cheaper model, before anything is said of it
SHIFTED = 0.2  # share of a model's traffic that a first step moves
_AS_GOOD = 0.03  # how much less often the cheaper model may serve
_LONG_INPUT = 4_000  # tokens from which caching a prompt's beginning pays
_LITTLE_CACHED = 0.1
_CACHEABLE = 0.5  # share of a long prompt that is usually the same each time
_LEAST_NANOS = 1_000_000  # a tenth of a cent in 30 days: less is not worth a word

# provider, model, uncached input, cached input, output tokens → nano-dollars. None: no price is known.
CostOf = Callable[[str, str, int, int, int], int | None]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model's runs of 30 days."""

    provider: str
    model: str
    runs: int
    succeeded: int
    unpriced: int
    cost_nanos: int
    uncached_tokens: int
    cached_tokens: int
    output_tokens: int

    @property
    def ok(self) -> float:
        return self.succeeded / self.runs if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    kind: str  # model_downgrade, provider_switch, prompt_caching, price_missing
    text: str
    saved_nanos: int  # in 30 days
    confidence: float  # 0 to 1


def recommend(models: Sequence[ModelUse], cost_of: CostOf) -> list[Recommendation]:
    """What to do, the most saving first."""
    found = [one for use in models for one in (_cheaper(use, models, cost_of), _caching(use, cost_of)) if one]
    found.sort(key=lambda one: -one.saved_nanos)
    missing = [use for use in models if use.unpriced]
    found += [
        Recommendation(
            "price_missing", f"Set a price for {use.model}: {use.unpriced:,} runs have no known cost", 0, 1.0
        )
        for use in missing
    ]
    return found


def _cheaper(use: ModelUse, models: Sequence[ModelUse], cost_of: CostOf) -> Recommendation | None:
    best: tuple[int, ModelUse] | None = None
    for other in models:
        if other.model == use.model or other.runs < MIN_RUNS or other.ok < use.ok - _AS_GOOD:
            continue
        there = cost_of(other.provider, other.model, use.uncached_tokens, use.cached_tokens, use.output_tokens)
        saved = 0 if there is None else round(SHIFTED * (use.cost_nanos - there))
        if saved >= _LEAST_NANOS and (best is None or saved > best[0]):
            best = (saved, other)
    if best is None:
        return None
    saved, other = best
    kind = "model_downgrade" if other.provider == use.provider else "provider_switch"
    text = (
        f"Shift {SHIFTED:.0%} of {use.model} traffic to {other.model}, ok in {100 * other.ok:.0f} % of "
        f"{other.runs:,} runs: saves about ${saved / 1e9:,.2f} in 30 days"
    )
    return Recommendation(kind, text, saved, round(0.5 + other.runs / (2 * (other.runs + 200)), 2))


def _caching(use: ModelUse, cost_of: CostOf) -> Recommendation | None:
    read = use.uncached_tokens + use.cached_tokens
    if not use.runs or read / use.runs < _LONG_INPUT or use.cached_tokens > _LITTLE_CACHED * read:
        return None
    moved = round(_CACHEABLE * use.uncached_tokens)
    before = cost_of(use.provider, use.model, use.uncached_tokens, use.cached_tokens, use.output_tokens)
    after = cost_of(use.provider, use.model, use.uncached_tokens - moved, use.cached_tokens + moved, use.output_tokens)
    if before is None or after is None or before - after < _LEAST_NANOS:
        return None
    text = (
        f"Use prompt caching with {use.model}: {read // use.runs:,} input tokens a run are hardly cached; with half of "
        f"them cached it saves about ${(before - after) / 1e9:,.2f} in 30 days"
    )
    return Recommendation("prompt_caching", text, before - after, 0.5)
