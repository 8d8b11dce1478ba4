"""POST /cache/get and /cache/set, GET /cache/stats, and whether the cache is on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from costlens.domain.periods import local_day
from costlens.domain.pricing import parse_usd
from costlens.domain.shown import NANOS
from costlens.services import caching
from costlens.services import routing as routing_service
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode, decode_stored
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import routing as shape


def blueprint() -> Blueprint:
    """The routes of the response cache."""
    routes = Blueprint("cache", __name__)
    routes.post("/cache/get")(get_cached)
    routes.post("/cache/set")(set_cached)
    routes.get("/cache/stats")(get_stats)
    routes.get("/cache/settings")(get_settings)
    routes.put("/cache/settings")(set_settings)
    return routes


class CacheQuestion(msgspec.Struct, rename="camel"):
    """What a model is asked; `parameters` are those that change its answer."""

    provider: Name
    model: Name
    messages: Any
    parameters: dict[str, Any] | None = None


class CacheEntry(CacheQuestion, rename="camel", kw_only=True):
    """The same with its answer. `ttl` in seconds, or in milliseconds where it is longer than seven days."""

    response: msgspec.Raw
    tokens: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    cost: Annotated[float, msgspec.Meta(ge=0, le=10**6)] | None = None
    ttl: Annotated[float, msgspec.Meta(ge=0, le=10**12)] | None = None


def _name(asked: CacheQuestion) -> tuple[str, str, str]:
    provider, model = asked.provider.strip().lower(), asked.model.strip()
    return caching.name_of(provider, model, asked.messages, asked.parameters), provider, model


def get_cached() -> Response:
    """A kept answer to exactly this question, or `hit: false`. A hit is recorded as a run that cost nothing."""
    key = require_key("ingest")
    name, provider, model = _name(decode_stored(json_body(), CacheQuestion))
    found = caching.find(context().store, context().cache, key, name, provider, model, datetime.now(UTC))
    if found is None:
        return json_answer(shape.CacheMiss(hit=False))
    body = shape.CacheHit(
        hit=True,
        response=msgspec.Raw(found.response),
        saved_cost=(found.cost_nanos or 0) / NANOS,
        cached_at=found.cached_at,
    )
    return json_answer(body)


def set_cached() -> Response:
    """Keeps an answer where the organization turned its cache on; else says so and keeps nothing."""
    key = require_key("ingest")
    given = decode(json_body(), CacheEntry)
    name, _, _ = _name(given)
    seconds = caching.seconds_of(given.ttl)
    reason = caching.keep(
        context().store,
        context().cache,
        key,
        name,
        bytes(given.response),
        tokens=given.tokens,
        cost_nanos=None if given.cost is None else parse_usd(given.cost),
        seconds=seconds,
        now=datetime.now(UTC),
    )
    return json_answer(shape.CacheStored(success=True, stored=reason is None, reason=reason, ttl=seconds))


def get_stats() -> Response:
    """Hits, misses and what the hits saved, by day."""
    organization = require_key("read").organization
    days = params.number("days", 30, 1, 1_830)
    today = local_day(datetime.now(UTC), organization.timezone)
    found = context().cache.days(organization.id, [today - timedelta(days=n) for n in range(days - 1, -1, -1)])
    hits, misses = sum(day.hits for day in found), sum(day.misses for day in found)
    return json_answer(
        shape.CacheStats(
            enabled=caching.enabled(context().store, organization.id),
            hits=hits,
            misses=misses,
            hit_rate=round(hits / (hits + misses), 4) if hits + misses else None,
            saved_cost=sum(day.saved_nanos for day in found) / NANOS,
            daily_data=[
                shape.CacheDayShape(
                    date=day.day.isoformat(),
                    hits=day.hits,
                    misses=day.misses,
                    stored=day.stored,
                    saved_cost=day.saved_nanos / NANOS,
                )
                for day in found
            ],
        )
    )


class CacheSwitch(msgspec.Struct, rename="camel"):
    """Whether answers are kept. Turning it off forgets those that are."""

    enabled: bool


def get_settings() -> Response:
    """Whether the organization's cache is on."""
    key = require_key("read")
    return _settings(routing_service.settings_of(context().store, key.organization.id).cache_enabled)


def set_settings() -> Response:
    """Turns the cache on, or off and empty."""
    key = require_key("admin")
    wanted = decode(json_body(), CacheSwitch)
    organization = key.organization.id
    if wanted.enabled:
        # Another process may have kept something in the second after it was turned off.
        context().cache.clear(organization)
    by = key.member_email or f"key {key.name}"
    routing_service.change_settings(context().store, organization, by, {"cache_enabled": wanted.enabled})
    if not wanted.enabled:
        context().cache.clear(organization)
    return _settings(wanted.enabled)


def _settings(on: bool) -> Response:
    return json_answer(shape.CacheSettings(success=True, enabled=on))
