"""Production traffic: prompts that serve customers all day, under a key of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.demo import calls, world
from costlens.demo.calls import Body
from costlens.demo.pulls import request_id

KEY = "Production"
STAGING_SHARE = 0.04
WEEKEND_LEVEL = 0.62


@dataclass(frozen=True, slots=True)
class Service:
    """One prompt in production: calls on a full working day and their usual token counts."""

    prompt: str
    successor: str | None  # the next version, which takes over in the last third; None: no new version
    model: str
    calls: int
    input: int
    cached: int
    output: int


SERVICES = (
    Service("search-rerank-v1", "search-rerank-v2", world.GEMINI_FLASH, 26, 42_000, 12_000, 1_400),
    Service("support-reply-v1", None, world.SONNET, 40, 1_800, 120_000, 2_600),
    Service("fraud-review-v1", None, world.OPUS, 26, 42_000, 50_000, 7_500),
    Service("catalog-enrich-v3", None, world.GPT, 40, 98_000, 20_000, 11_500),
    Service("size-advice-v1", "size-advice-v2", "gpt-5-mini", 16, 5_000, 2_000, 700),
)


def of_day(seed: int, date: datetime, progress: float, end: datetime) -> Iterator[Body]:
    """The day's production runs up to `end`; traffic grows slowly and follows the customers' day."""
    level = (0.90 + 0.24 * progress) * (1.0 if date.weekday() < 5 else WEEKEND_LEVEL)
    for service in SERVICES:
        rng = world.generator(seed, service.prompt, date.date())
        for call in range(round(service.calls * level * rng.uniform(0.88, 1.12))):
            moment = date + timedelta(hours=_hour(rng.random()))
            counts = (
                int(service.input * rng.uniform(0.5, 1.5)),
                int(service.cached * rng.uniform(0.5, 1.5)),
                int(rng.uniform(800, 9_000)) if service.model in (world.SONNET, world.OPUS) else 0,
                int(service.output * rng.uniform(0.4, 1.6)),
            )
            request = request_id(seed, f"{service.prompt}:{date.date()}", 0, call)
            run = calls.body(rng, service.model, counts, moment, request, {})
            taken_over = service.successor is not None and rng.random() < (progress - 0.66) * 12
            run["promptId"] = service.successor if taken_over else service.prompt
            run["environment"] = "staging" if rng.random() < STAGING_SHARE else "production"
            if moment <= end:
                yield run


def _hour(point: float) -> float:
    """An hour of the day; most traffic falls into the afternoon (UTC)."""
    return (24 * point - 3.2 * math.sin(2 * math.pi * (point - 0.08))) % 24
