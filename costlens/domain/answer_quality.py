"""A quick look at a model's answer: whether it is whole, coherent and about something. Simple rules, no model."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_THRESHOLD = 0.7
_REFUSAL = re.compile(
    r"\b(i (?:cannot|can't|am unable to)|as an ai (?:language )?model|i'm sorry, but)\b", re.IGNORECASE
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """Each 0 to 1."""

    overall: float
    coherence: float  # words are not repeated over and over
    completeness: float  # it has an end, and something is said
    relevance: float  # it is no refusal, and shares words with the prompt where one is given


def judge(answer: str, prompt: str | None = None) -> AnswerQuality:
    """What the rules find of an answer; without a prompt, relevance tells refusals only."""
    text = answer.strip()[:50_000]
    words = [word.lower() for word in _WORD.findall(text)]
    if not words:
        return AnswerQuality(0.0, 0.0, 0.0, 0.0)
    lines = [line for line in text.splitlines() if line.strip()]
    repeated = 1 - len(set(lines)) / len(lines) if len(lines) > 3 else 0.0
    variety = len(set(words)) / len(words) if len(words) < 50 else min(1.0, 3 * len(set(words)) / len(words))
    coherence = max(0.0, min(1.0, 0.4 + 0.6 * variety) - repeated)
    ended = text[-1] in ".!?)]}`\"'" or text.endswith("```")
    fences = text.count("```") % 2 == 0
    completeness = 0.4 * min(1.0, len(words) / 20) + 0.4 * ended + 0.2 * fences
    relevance = 0.2 if _REFUSAL.search(text[:400]) else 0.9
    if prompt and relevance > 0.5:
        asked = {word.lower() for word in _WORD.findall(prompt[:20_000]) if len(word) > 3}
        shared = len(asked & set(words)) / len(asked) if asked else 1.0
        relevance = min(1.0, 0.6 + 0.8 * shared)
    parts = [round(value, 3) for value in (coherence, completeness, relevance)]
    return AnswerQuality(round(sum(parts) / 3, 3), *parts)
