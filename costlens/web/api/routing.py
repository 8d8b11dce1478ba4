"""Which model a call should go to, how the organization routes, and what people say of answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response

from costlens.domain.answer_quality import judge
from costlens.domain.errors import InvalidInput
from costlens.domain.pricing import parse_usd
from costlens.domain.routing import Wishes
from costlens.domain.runs import read_id
from costlens.domain.shown import dollars
from costlens.services import routing as routing_service
from costlens.services.feedback import add_feedback
from costlens.services.routing import Routed
from costlens.store.organizations import KeyRow
from costlens.store.routing import METRICS
from costlens.web.answers import json_answer
from costlens.web.api.bodies import decode, decode_stored
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import routing as shape
from costlens.web.shapes.base import Done

Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=10**9)]
Money = Annotated[float, msgspec.Meta(ge=0, le=10**6)]
Level = Literal["high", "medium", "low"]
Prompt = Annotated[str, msgspec.Meta(max_length=1_000_000)]


def blueprint() -> Blueprint:
    """The routes of routing and quality."""
    routes = Blueprint("routing", __name__)
    routes.post("/routing/context-aware")(route_with_context)
    routes.get("/quality/routing")(get_routing)
    routes.post("/quality/routing")(route_prompt)
    routes.post("/routing/enforcement")(set_enforcement)
    routes.post("/routing/quality")(set_quality)
    routes.put("/routing/quality")(judge_answer)
    routes.post("/quality/feedback")(give_feedback)
    return routes


class Preferences(msgspec.Struct, rename="camel"):
    """What the caller asks for, in either of two vocabularies."""

    priority: Literal["quality", "cost", "speed", "latency", "balanced"] | None = None
    quality_requirement: Level | None = None
    max_latency_ms: Milliseconds | None = None
    max_latency: Milliseconds | None = None
    max_cost: Money | None = None
    min_quality: Part | None = None
    urgency: Level | None = None


class ContextQuestion(msgspec.Struct, rename="camel"):
    """A prompt to be routed; without a model, the organization's most used one is taken for the caller's."""

    prompt: Prompt
    preferences: Preferences | None = None
    model: Name | None = None
    provider: Name | None = None


class RoutingOptions(msgspec.Struct, rename="camel"):
    """What POST /quality/routing takes as options."""

    enforce_model: bool | None = None
    quality_threshold: Part | None = None
    max_cost: Money | None = None
    strategy: str | None = None
    model: Name | None = None
    provider: Name | None = None


class RoutingQuestion(msgspec.Struct, rename="camel"):
    """A prompt to be routed, or `enabled` to turn routing on or off."""

    prompt: Prompt | None = None
    options: RoutingOptions | None = None
    model: Name | None = None
    provider: Name | None = None
    enabled: bool | None = None


def route_with_context() -> Response:
    """The cheapest model whose record is good enough for this prompt, with the reason."""
    key = require_key("read")
    asked = decode(json_body(), ContextQuestion)
    wish = asked.preferences or Preferences()
    usual: dict[str | None, Level] = {"quality": "high", "cost": "low"}
    wishes = Wishes(
        requirement=wish.quality_requirement or usual.get(wish.priority, "medium"),
        max_latency_ms=wish.max_latency_ms or wish.max_latency,
        max_cost_nanos=None if wish.max_cost is None else parse_usd(wish.max_cost),
        min_quality=wish.min_quality,
        fast=wish.priority in ("speed", "latency") or (wish.urgency == "high" and wish.priority is None),
    )
    return _routed(key, asked.prompt, wishes, asked.provider, asked.model, wish.urgency or "medium")


def get_routing() -> Response:
    """Whether routing is on; a wrapper asks before each call."""
    key = require_key("read")
    return _state(routing_service.settings_of(context().store, key.organization.id))


def route_prompt() -> Response:
    """A decision for `prompt`; or, with `enabled`, turns routing on or off."""
    key = require_key("read")
    asked = decode(json_body(), RoutingQuestion)
    if asked.enabled is not None:
        require_key("ingest")
        return _state(_change(key, routing_enabled=asked.enabled))
    if asked.prompt is None:
        raise InvalidInput("Give `prompt` for a decision, or `enabled` to turn routing on or off", field="prompt")
    options = asked.options or RoutingOptions()
    by_strategy: dict[str | None, Level] = {"quality-first": "high", "cost-first": "low"}
    wishes = Wishes(
        requirement=by_strategy.get(options.strategy, "medium"),
        max_cost_nanos=None if options.max_cost is None else parse_usd(options.max_cost),
        min_quality=options.quality_threshold,
        enforce=bool(options.enforce_model),
    )
    return _routed(
        key, asked.prompt, wishes, asked.provider or options.provider, asked.model or options.model, "medium"
    )


def _routed(
    key: KeyRow, prompt: str, wishes: Wishes, provider: str | None, model: str | None, urgency: Level
) -> Response:
    found = routing_service.route(
        context().store,
        key.organization,
        prompt,
        wishes,
        provider=provider.strip().lower() if provider else None,
        model=model.strip() if model else None,
    )
    return json_answer(_answer(found, urgency))


def _answer(found: Routed, urgency: Level) -> shape.RoutingAnswer:
    chosen, original = found.decision.chosen, found.decision.original
    cost = dollars(chosen.cost_nanos)
    quality = round(chosen.ok, 4) if chosen.known or chosen.quality is not None else None
    decision = shape.RoutedTo(provider=chosen.provider, model=chosen.model, reason=found.decision.reason)
    return shape.RoutingAnswer(
        success=True,
        decision=decision,
        routing_decision=shape.RoutingDecision(
            selected_model=chosen.model,
            provider=chosen.provider,
            original_model=original.model,
            reasoning=found.decision.reason,
            confidence=found.decision.confidence,
            expected_cost=cost,
            estimated_cost=cost,
            expected_quality=quality,
            quality_score=quality,
            expected_latency=chosen.latency_ms,
            context_factors=shape.ContextFactors(
                prompt_complexity=found.prompt.level,  # type: ignore[arg-type]
                task_type=found.prompt.task,  # type: ignore[arg-type]
                quality_requirement=found.wishes.requirement,  # type: ignore[arg-type]
                urgency=urgency,
            ),
        ),
    )


class Enforcement(msgspec.Struct, rename="camel"):
    """Whether every call keeps the model that it asks for."""

    enforce_model: bool


def set_enforcement() -> Response:
    """Turns model enforcement on or off for the organization."""
    key = require_key("ingest")
    return _state(_change(key, enforce_model=decode(json_body(), Enforcement).enforce_model))


class QualityValidator(msgspec.Struct, rename="camel"):
    """What an answer must reach."""

    threshold: Part = 0.7
    enabled: bool = True
    metrics: list[Literal["coherence", "completeness", "relevance"]] = msgspec.field(
        default_factory=lambda: list(METRICS)  # type: ignore[arg-type]
    )


class QualitySettings(msgspec.Struct, rename="camel"):
    quality_validator: QualityValidator


def set_quality() -> Response:
    """Sets what PUT /routing/quality asks of an answer."""
    key = require_key("ingest")
    wanted = decode(json_body(), QualitySettings).quality_validator
    changed = _change(
        key,
        quality_threshold=wanted.threshold,
        quality_enabled=wanted.enabled,
        quality_metrics=list(dict.fromkeys(wanted.metrics)),
    )
    return json_answer(
        shape.QualityValidatorAnswer(
            success=True,
            quality_validator=shape.QualityValidatorState(
                threshold=changed.quality_threshold,
                enabled=changed.quality_enabled,
                metrics=list(changed.quality_metrics),
            ),
        )
    )


class AnswerToJudge(msgspec.Struct, rename="camel"):
    """A model's answer, and the prompt it is for. Neither is kept."""

    response: Prompt
    prompt: Prompt | None = None


def judge_answer() -> Response:
    """A quick look at an answer by simple rules: whole, coherent, about something."""
    key = require_key("read")
    asked = decode(json_body(), AnswerToJudge)
    settings = routing_service.settings_of(context().store, key.organization.id)
    found = judge(asked.response, asked.prompt)
    wanted = [getattr(found, name) for name in settings.quality_metrics]
    passed = bool(wanted) and sum(wanted) / len(wanted) >= settings.quality_threshold
    return json_answer(
        shape.QualityAnswer(
            success=True,
            quality_score=shape.QualityScore(
                overall=found.overall,
                coherence=found.coherence,
                completeness=found.completeness,
                relevance=found.relevance,
                passed=passed or not wanted,
            ),
        )
    )


Stars = Annotated[float, msgspec.Meta(ge=1, le=5)]


class Feedback(msgspec.Struct, rename="camel"):
    """What somebody says of a run (`runId`), or of the choice of a model. Ratings are 1 to 5."""

    run_id: Name | None = None
    rating: Stars | None = None
    quality_rating: Stars | None = None
    feedback: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    original_model: Name | None = None
    selected_model: Name | None = None
    was_helpful: bool | None = None


def give_feedback() -> Response:
    """Keeps a rating; it counts in qualityScore and in routing."""
    key = require_key("ingest")
    given = decode_stored(json_body(), Feedback)
    rating = given.rating if given.rating is not None else given.quality_rating
    if rating is None and given.was_helpful is None:
        raise InvalidInput("Give rating, qualityRating or wasHelpful", field="rating")
    if given.run_id is None and given.selected_model is None:
        raise InvalidInput("Give runId, or selectedModel", field="runId")
    add_feedback(
        context().store,
        key.organization.id,
        run_id=None if given.run_id is None else read_id("run", given.run_id) or 0,
        original_model=given.original_model,
        selected_model=given.selected_model,
        score=None if rating is None else (rating - 1) / 4,
        helpful=given.was_helpful,
        comment=given.feedback or None,
        now=datetime.now(UTC),
    )
    return json_answer(Done(success=True))


def _change(key: KeyRow, **changes: Any) -> Any:
    by = key.member_email or f"key {key.name}"
    return routing_service.change_settings(context().store, key.organization.id, by, changes)


def _state(settings: Any) -> Response:
    return json_answer(
        shape.RoutingState(success=True, enabled=settings.routing_enabled, enforce_model=settings.enforce_model)
    )
