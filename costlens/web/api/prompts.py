"""POST /prompts/optimize, GET /prompts and GET /prompts/{promptId}."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from costlens.domain.classifier import tokens_of
from costlens.domain.routing import Wishes
from costlens.domain.shorten import shorten
from costlens.domain.shown import dollars
from costlens.services import prompts as prompt_service
from costlens.services.routing import estimate, route
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.api.cursors import read_text_cursor
from costlens.web.api.exports import export_form
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.prompt_answers import prompt_answer, prompts_answer, prompts_file
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


def list_prompts() -> Response:
    """Prompts by their name without the version, the dearest first."""
    organization = require_key("read").organization
    window = params.period(organization, default="30d")
    report = prompt_service.prompts(context().store, organization, window, params.usage_where(organization))
    if form := export_form():
        return prompts_file(form, organization, report)
    limit, after = params.number("limit", 100, 1, 1_000), read_text_cursor(params.text("cursor"))
    start = 0
    if after is not None:
        names = (place + 1 for place, one in enumerate(report.prompts) if one.name == after)
        start = next(names, len(report.prompts))
    return json_answer(prompts_answer(report, start, limit))


def get_prompt(prompt_id: str) -> Response:
    """One prompt with its versions side by side, each by model."""
    organization = require_key("read").organization
    window = params.period(organization, default="30d")
    name, where = prompt_id.replace("\0", ""), params.usage_where(organization)
    return json_answer(prompt_answer(prompt_service.prompt(context().store, organization, window, name, where)))
