"""POST /prompts/optimize, GET /prompts and GET /prompts/{promptId}."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from costlens.domain.classifier import tokens_of
from costlens.domain.routing import Wishes
from costlens.domain.shorten import shorten
from costlens.domain.shown import NANOS, dollars
from costlens.services import prompts as prompt_service
from costlens.services.routing import estimate, route
from costlens.store.analytics import Amounts
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.api.cursors import read_text_cursor, text_cursor
from costlens.web.api.exports import export_answer, export_form
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import prompts as shape
from costlens.web.shapes.routing import OptimizedPrompt


def blueprint() -> Blueprint:
    """The routes of prompts."""
    routes = Blueprint("prompts", __name__)
    routes.post("/prompts/optimize")(optimize)
    routes.get("/prompts")(list_prompts)
    routes.get("/prompts/<prompt_id>")(get_prompt)
    return routes


class PromptToOptimize(msgspec.Struct, rename="camel"):
    """A prompt to be made shorter; nothing of it is kept."""

    prompt: Annotated[str, msgspec.Meta(max_length=1_000_000)]
    model: Name | None = None
    provider: Name | None = None


def optimize() -> Response:
    """The prompt without needless space and courtesies; code and quotes stay as they are."""
    key = require_key("read")
    asked = decode(json_body(), PromptToOptimize)
    short = shorten(asked.prompt)
    before, after = tokens_of(asked.prompt), tokens_of(short)
    percent = round(100 * (before - after) / before, 2) if before else 0.0
    body = OptimizedPrompt(
        original=asked.prompt,
        optimized=short,
        original_tokens=before,
        optimized_tokens=after,
        tokens_saved=before - after,
        token_reduction=percent,
        cost_saved=_saved(key.organization, asked, before, after),
        savings_percent=percent,
    )
    return json_answer(body)


def _saved(organization: Any, asked: PromptToOptimize, before: int, after: int) -> float | None:
    """Dollars that the shorter input saves a call, with the model named or the one used most."""
    store = context().store
    usual = route(store, organization, "", Wishes(), provider=asked.provider, model=asked.model).decision.original
    costs = [estimate(store, organization, usual.provider, usual.model, tokens)[0] for tokens in (before, after)]
    return None if None in costs else dollars(costs[0] - costs[1])  # type: ignore[operator]


_COLUMNS = (
    "prompt",
    "versions",
    "runs",
    "cost",
    "tokens",
    "avgCostPerRun",
    "unpricedRuns",
    "successRate",
    "avgLatency",
)


def list_prompts() -> Response:
    """Prompts by their name without the version, the dearest first."""
    organization = require_key("read").organization
    window = params.period(organization, default="30d")
    found = prompt_service.prompts(context().store, organization, window)
    rows = [
        shape.PromptRow(prompt=one.name, versions=[v.prompt_id for v in one.versions], **_sums(one.sums))
        for one in found
    ]
    if form := export_form():
        flat = [msgspec.to_builtins(row) | {"versions": " ".join(row.versions)} for row in rows]
        shown = flat if form == "csv" else [msgspec.to_builtins(row) for row in rows]
        return export_answer(form, f"{organization.slug}-prompts", _COLUMNS, iter([shown]))
    limit, after = params.number("limit", 100, 1, 1_000), read_text_cursor(params.text("cursor"))
    if after is not None:
        start = next((place + 1 for place, one in enumerate(found) if one.name == after), len(rows))
        rows = rows[start:]
    page = rows[:limit]
    return json_answer(
        shape.Prompts(
            prompts=page,
            next_cursor=text_cursor(page[-1].prompt) if len(rows) > limit else None,
            start_date=window.start.isoformat(),
            end_date=window.end.isoformat(),
            timezone=window.timezone,
        )
    )


def get_prompt(prompt_id: str) -> Response:
    """One prompt with its versions side by side, each by model."""
    organization = require_key("read").organization
    window = params.period(organization, default="30d")
    found, models = prompt_service.prompt(context().store, organization, window, prompt_id.replace("\0", ""))
    body = shape.PromptAnswer(
        prompt=found.name,
        versions=[
            shape.PromptVersionShape(
                prompt_id=one.prompt_id,
                version=one.version,
                models=[
                    shape.PromptModel(model=sums.value, **_sums(sums)) for name, sums in models if name == one.prompt_id
                ],
                **_sums(one.sums),
            )
            for one in found.versions
        ],
        start_date=window.start.isoformat(),
        end_date=window.end.isoformat(),
        timezone=window.timezone,
        **_sums(found.sums),
    )
    return json_answer(body)


def _sums(sums: Amounts) -> dict[str, Any]:
    cost = sums.cost_nanos / NANOS if sums.priced_runs else None
    return {
        "runs": sums.runs,
        "cost": cost,
        "tokens": sums.tokens,
        "avg_cost_per_run": None if cost is None else cost / sums.priced_runs,
        "unpriced_runs": sums.runs - sums.priced_runs,
        "success_rate": round(100 * sums.succeeded / sums.runs, 2) if sums.runs else 0.0,
        "avg_latency": round(sums.latency_ms / sums.timed_runs) if sums.timed_runs else 0,
    }
