"""The organization's providers: how calls are spread over them, and their keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response

from costlens.domain.shown import instant, moment
from costlens.services import provider_keys as key_service
from costlens.services import routing as routing_service
from costlens.services.sealing import box
from costlens.store.routing import ProviderConfig
from costlens.web.answers import json_answer
from costlens.web.api.bodies import decode_stored
from costlens.web.api.insights import Name
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import routing as shape
from costlens.web.shapes.base import Done


def blueprint() -> Blueprint:
    """The routes of providers."""
    routes = Blueprint("providers", __name__)
    routes.get("/providers/config")(get_configs)
    routes.post("/providers/config")(set_configs)
    routes.get("/api-keys/providers")(list_keys)
    routes.post("/api-keys/providers")(add_key)
    return routes


class ProviderConfigBody(msgspec.Struct, rename="camel"):
    """One provider; the body is a list of them, which replaces the one before."""

    provider: Name
    model: Name | None = None
    weight: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1
    min_quality: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    enforce_model: bool = False
    routing_strategy: Literal["balanced", "quality-first", "cost-first", "custom"] = "balanced"
    enabled: bool = True


Configs = Annotated[list[ProviderConfigBody], msgspec.Meta(max_length=50)]


def get_configs() -> Response:
    """The providers in their order; none are set until somebody does."""
    key = require_key("read")
    return _configs(routing_service.providers_of(context().store, key.organization.id))


def set_configs() -> Response:
    """Replaces the providers. Routing leaves out what is not enabled, or does worse than minQuality."""
    key = require_key("ingest")
    given = decode_stored(json_body(), Configs)
    configs = [
        ProviderConfig(
            one.provider.strip().lower(),
            one.model,
            one.weight,
            one.min_quality,
            one.enforce_model,
            one.routing_strategy,
            one.enabled,
        )
        for one in given
    ]
    by = key.member_email or f"key {key.name}"
    routing_service.configure_providers(context().store, key.organization.id, by, configs)
    return _configs(configs)


def _configs(configs: list[ProviderConfig]) -> Response:
    shown = [
        shape.ProviderConfigShape(
            provider=one.provider,
            model=one.model,
            weight=one.weight,
            min_quality=one.min_quality,
            enforce_model=one.enforce_model,
            routing_strategy=one.routing_strategy,  # type: ignore[arg-type]
            enabled=one.enabled,
        )
        for one in configs
    ]
    return json_answer(shape.ProviderConfigs(success=True, configs=shown))


class ProviderKeyBody(msgspec.Struct, rename="camel"):
    """A provider's own key. It is stored encrypted and never shown again."""

    provider: Name
    api_key: Annotated[str, msgspec.Meta(min_length=8, max_length=500)]


def list_keys() -> Response:
    """Which providers have a key, without the keys."""
    key = require_key("read")
    rows = key_service.list_keys(context().store, key.organization.id)
    shown = [
        shape.ProviderKey(
            id=f"pkey_{row.id}",
            provider=row.provider,
            last_four=row.last_four,
            created_at=moment(row.created_at),
            last_used_at=instant(row.last_used_at),
        )
        for row in rows
    ]
    return json_answer(shape.ProviderKeys(success=True, api_keys=shown))


def add_key() -> Response:
    """Stores a provider's key in place of the one before."""
    key = require_key("ingest")
    given = decode_stored(json_body(), ProviderKeyBody)
    key_service.add_key(
        context().store,
        box(context().settings),
        key.organization.id,
        given.provider.strip().lower(),
        given.api_key,
        by=key.member_email or f"key {key.name}",
        now=datetime.now(UTC),
    )
    return json_answer(Done(success=True))
