"""Which model a call should go to: the cheapest whose record is good enough, with the reason in words.

A simple engine over what runs have shown: success and feedback, latency, cost. Text decides nothing but whether
something speaks against a cheaper model; without a record the caller's model stands. A stronger engine may stand behind
`decide` without any caller changing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costlens.domain.classifier import Classified

MIN_RUNS = 20  # fewer runs of a model tell nothing
_PRIOR, _PRIOR_RUNS = 0.9, 10  # what a model is taken for before it has runs, and how much that weighs
# How much worse than the best a model may be, by what the caller requires.
TOLERANCE = {"high": 0.01, "medium": 0.03, "low": 0.08}


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What an organization's runs of one model have shown."""

    provider: str
    model: str
    runs: int = 0
    succeeded: int = 0
    quality: float | None = None  # mean of people's feedback, 0 to 1. None: none
    cost_nanos: int | None = None  # of a call like this one. None: no price is known
    latency_ms: int | None = None  # 95 of 100 calls took no longer. None: not measured

    @property
    def ok(self) -> float:
        """How often it serves, 0 to 1: success drawn to the prior, half feedback where there is some."""
        shrunk = (self.succeeded + _PRIOR * _PRIOR_RUNS) / (self.runs + _PRIOR_RUNS)
        return shrunk if self.quality is None else (shrunk + self.quality) / 2

    @property
    def known(self) -> bool:
        return self.runs >= MIN_RUNS


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller asks for; None: nothing."""

    requirement: str = "medium"  # high, medium, low
    max_latency_ms: float | None = None
    max_cost_nanos: int | None = None
    min_quality: float | None = None  # 0 to 1
    enforce: bool = False  # the caller's model, whatever the record says
    fast: bool = False  # of those that are good enough the fastest, not the cheapest


@dataclass(frozen=True, slots=True)
class Decision:
    chosen: ModelRecord
    original: ModelRecord
    reason: str
    confidence: float  # 0 to 1

    @property
    def changed(self) -> bool:
        return (self.chosen.provider, self.chosen.model) != (self.original.provider, self.original.model)


def decide(asked: ModelRecord, others: Sequence[ModelRecord], prompt: Classified, wishes: Wishes) -> Decision:
    """The model for this call: `asked` is the caller's own, `others` are those that its organization uses."""
    if wishes.enforce:
        return Decision(asked, asked, "Model enforcement is on: the requested model is used", 1.0)
    if not asked.known and not any(other.known for other in others):
        return Decision(asked, asked, "No history yet: the requested model is used", 0.3)
    reason_to_stay = _stays(asked, prompt, wishes)
    candidates = [asked, *(other for other in others if other.known and other.cost_nanos is not None)]
    good = [one for one in candidates if _within(one, wishes)]
    if reason_to_stay and asked in good:
        return Decision(asked, asked, reason_to_stay, 0.8)
    if not good:
        return Decision(asked, asked, "No known model meets the limits: the requested model is used", 0.3)
    best = max(one.ok for one in good)
    enough = [one for one in good if best - one.ok <= TOLERANCE[wishes.requirement]]
    if wishes.fast:
        chosen = min(enough, key=lambda one: (_slowness(one), _price(one), one is not asked))
    else:
        chosen = min(enough, key=lambda one: (_price(one), one is not asked, -one.ok))
    if chosen is asked:
        other = "faster" if wishes.fast else "cheaper"
        return Decision(asked, asked, f"{_record(asked)}; nothing {other} does as well", _confidence(asked))
    return Decision(chosen, asked, _why(chosen, asked, wishes), _confidence(chosen))


def _stays(asked: ModelRecord, prompt: Classified, wishes: Wishes) -> str | None:
    """Why no cheaper model is looked for. None: nothing speaks against it."""
    if prompt.careful:
        return "The prompt says that much depends on it: the requested model is used"
    if prompt.level == "complex" and wishes.requirement == "high":
        return "A complex prompt with a high quality requirement: the requested model is used"
    if asked.cost_nanos is None:
        return "The requested model has no known price: nothing can be compared with it"
    return None


def _within(one: ModelRecord, wishes: Wishes) -> bool:
    if wishes.max_latency_ms is not None and one.latency_ms is not None and one.latency_ms > wishes.max_latency_ms:
        return False
    if wishes.max_cost_nanos is not None and _price(one) > wishes.max_cost_nanos:
        return False
    return wishes.min_quality is None or one.ok >= wishes.min_quality


def _slowness(one: ModelRecord) -> int:
    return 1 << 62 if one.latency_ms is None else one.latency_ms


def _price(one: ModelRecord) -> int:
    return 1 << 62 if one.cost_nanos is None else one.cost_nanos


def _record(one: ModelRecord) -> str:
    return f"{one.model} ok in {100 * one.succeeded / one.runs:.0f} % of {one.runs:,} runs" if one.runs else one.model


def _why(chosen: ModelRecord, asked: ModelRecord, wishes: Wishes) -> str:
    text = f"{_record(chosen)}, {_record(asked)}"
    saved = _price(asked) - _price(chosen)
    if asked.cost_nanos is not None and saved > 0:
        text += f"; saves ${saved / 1e9:.6f} a call"
    if wishes.max_latency_ms is not None and chosen.latency_ms is not None:
        text += f"; within {wishes.max_latency_ms:g} ms"
    return text


def _confidence(one: ModelRecord) -> float:
    """Grows with the runs that were seen."""
    return round(min(0.99, 0.5 + one.runs / (2 * (one.runs + 100))), 2)
