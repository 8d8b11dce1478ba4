"""Shapes of prompts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Percent, Shape


class PromptSums(Shape):
    runs: Count
    cost: Cost
    tokens: Count
    avg_cost_per_run: Cost
    unpriced_runs: Count
    success_rate: Annotated[Percent, msgspec.Meta(description="Percent")]
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]


class PromptRow(PromptSums):
    prompt: Annotated[str, msgspec.Meta(description="The name without its version")]
    versions: Annotated[list[str], msgspec.Meta(description="promptIds as callers send them")]


class Prompts(Shape):
    prompts: list[PromptRow]
    next_cursor: str | None
    start_date: Day
    end_date: Day
    timezone: str


class PromptModel(PromptSums):
    model: str


class PromptVersionShape(PromptSums):
    prompt_id: str
    version: Annotated[str | None, msgspec.Meta(description="null: the name has none")]
    models: list[PromptModel]


class PromptAnswer(PromptSums):
    prompt: str
    versions: list[PromptVersionShape]
    start_date: Day
    end_date: Day
    timezone: str
