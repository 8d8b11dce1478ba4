"""Shapes of prompts."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Dollars, Percent, Shape


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
    """All pages of `prompts` and `none` add up to `total`."""

    prompts: list[PromptRow]
    none: Annotated[PromptSums | None, msgspec.Meta(description="Runs that name no prompt; null: there are none")]
    total: PromptSums
    next_cursor: str | None
    start_date: Day
    end_date: Day
    timezone: str


class PromptModel(PromptSums):
    model: str


class PromptOutcome(Shape):
    """What the runs were counted for: pull requests by their outcome, or commits outside any (`direct`)."""

    outcome: Literal["merged", "open", "abandoned", "reverted", "direct"]
    pull_requests: Annotated[int, msgspec.Meta(ge=0, description="One of two versions is counted for each")]
    cost: Dollars


class PromptVersionShape(PromptSums):
    prompt_id: str
    version: Annotated[str | None, msgspec.Meta(description="null: the name has none")]
    models: list[PromptModel]
    outcomes: list[PromptOutcome]


class PromptAnswer(PromptSums):
    """The versions add up to the prompt, the models of a version to the version."""

    prompt: str
    versions: list[PromptVersionShape]
    outcomes: list[PromptOutcome]
    start_date: Day
    end_date: Day
    timezone: str
