"""Routing decisions from what an organization's runs have shown, and the settings that steer them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.classifier import Classified, classify
from costlens.domain.pricing import Override, cost_nanos, find_card
from costlens.domain.routing import Decision, ModelRecord, Wishes, decide
from costlens.domain.usage import Usage
from costlens.services.money import own_prices
from costlens.store import routing as routing_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization, add_audit
from costlens.store.routing import ProviderConfig, RoutingSettings
from costlens.store.savings import ModelSums, latency_steps, model_sums

RECORD_DAYS = 30
_KEPT_SECONDS = 60.0  # records move slowly, and a caller waits for the decision
_TRUST_SECONDS = 1.0  # settings are asked for on each call, and a change has to hold soon
_USUAL_OUTPUT = 500  # tokens, while nothing is known
# For a caller that names no model, in an organization that has used none.
FIRST_MODEL = ("openai", "gpt-5.4-mini")
FIRST_MODEL_HIGH = ("openai", "gpt-5.4")


@dataclass(frozen=True, slots=True)
class Records:
    """What one organization's runs have shown, and its providers."""

    configs: Sequence[ProviderConfig]
    models: Sequence[ModelSums]  # the dearest first
    slow: dict[tuple[str, str], int]  # milliseconds that 95 of 100 calls do not pass
    scores: dict[tuple[str | None, str | None], tuple[float, int]]
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Routed:
    decision: Decision
    prompt: Classified
    wishes: Wishes


_records: dict[tuple[int, int], tuple[float, Records]] = {}  # (store, organization) → until, records
_settings: dict[tuple[int, int], tuple[float, RoutingSettings]] = {}  # the same of settings


def records(store: Store, organization_id: int, *, now: datetime | None = None) -> Records:
    """The records of an organization, at most a minute old."""
    key = (id(store), organization_id)
    until, found = _records.get(key, (0.0, None))
    if found is not None and time.monotonic() < until:
        return found
    at = now or datetime.now(UTC)
    since = at - timedelta(days=RECORD_DAYS)
    with store.read() as tx:
        steps = latency_steps(tx, organization_id, since)
        found = Records(
            configs=tuple(routing_store.provider_configs(tx, organization_id)),
            models=tuple(model_sums(tx, organization_id, since)),
            slow={model: percentile(histogram, 0.95) for model, histogram in steps.items()},
            scores=routing_store.feedback_scores(tx, organization_id, since, at),
            overrides=own_prices(tx, organization_id),
        )
    _records[key] = (time.monotonic() + _KEPT_SECONDS, found)
    return found


def forget(store: Store, organization_id: int) -> None:
    """Lets the next decision of this process read anew; others do with settings within a second, else a minute."""
    _records.pop((id(store), organization_id), None)
    _settings.pop((id(store), organization_id), None)


def percentile(histogram: Sequence[tuple[int, int]], share: float) -> int:
    """Milliseconds from (log step, runs) by step."""
    wanted = share * sum(runs for _, runs in histogram)
    seen = 0
    for step, runs in histogram:
        seen += runs
        if seen >= wanted:
            return round(math.exp((step + 0.5) * math.log(1.1)))
    return 0


def route(
    store: Store,
    organization: Organization,
    prompt: str,
    wishes: Wishes,
    *,
    provider: str | None = None,
    model: str | None = None,
    now: datetime | None = None,
) -> Routed:
    """The model for a prompt; `model` None: the one that the organization uses most."""
    at = now or datetime.now(UTC)
    known = records(store, organization.id, now=at)
    classified = classify(prompt)
    asked_provider, asked_model = _asked(known, provider, model, wishes)
    by_name = {(one.provider, one.model): one for one in known.models}
    sums = by_name.get((asked_provider, asked_model))
    output = _output_tokens(known, sums)

    def record(of: ModelSums) -> ModelRecord:
        return _record(known, of, classified.tokens, output, at)

    asked = record(sums or ModelSums(asked_provider, asked_model, *([0] * 9)))
    off = {config.provider for config in known.configs if not config.enabled}
    least = {config.provider: config.min_quality for config in known.configs}
    others = [
        one
        for one in map(record, known.models)
        if (one.provider, one.model) != (asked.provider, asked.model)
        and one.provider not in off
        and one.ok >= least.get(one.provider, 0.0)
    ]
    settings = settings_of(store, organization.id)
    enforced = settings.enforce_model or any(
        config.enforce_model for config in known.configs if config.provider == asked.provider
    )
    if not settings.routing_enabled:
        decision = Decision(asked, asked, "Routing is turned off: the requested model is used", 1.0)
    else:
        decision = decide(asked, others, classified, replace(wishes, enforce=wishes.enforce or enforced))
    return Routed(decision, classified, wishes)


def _asked(known: Records, provider: str | None, model: str | None, wishes: Wishes) -> tuple[str, str]:
    if model is not None:
        named = next((one.provider for one in known.models if one.model == model), None)
        card = None if provider or named else find_card("", model, datetime.now(UTC))
        return provider or named or (card.provider if card else "unknown"), model
    used = [one for one in known.models if provider in (None, one.provider)]
    if used:
        most = max(used, key=lambda one: one.runs)
        return most.provider, most.model
    given = next((one for one in known.configs if one.enabled and one.model and provider in (None, one.provider)), None)
    if given is not None and given.model:
        return given.provider, given.model
    return FIRST_MODEL_HIGH if wishes.requirement == "high" else FIRST_MODEL


def _output_tokens(known: Records, sums: ModelSums | None) -> int:
    """Output tokens of a call, as this model's runs had on average, else those of all."""
    if sums is not None and sums.runs:
        return round(sums.output_tokens / sums.runs)
    runs = sum(one.runs for one in known.models)
    return round(sum(one.output_tokens for one in known.models) / runs) if runs else _USUAL_OUTPUT


def _record(known: Records, of: ModelSums, tokens: int, output: int, at: datetime) -> ModelRecord:
    card = find_card(of.provider, of.model, at, input_tokens=tokens, overrides=known.overrides)
    usage = Usage(input_uncached=tokens, output_text=output)
    score, many = known.scores.get((of.provider, of.model), (0.0, 0))
    return ModelRecord(
        of.provider,
        of.model,
        of.runs,
        of.succeeded,
        quality=score / many if many else None,
        cost_nanos=cost_nanos(usage, card) if card else None,
        latency_ms=known.slow.get((of.provider, of.model)),
    )


def estimate(
    store: Store, organization: Organization, provider: str, model: str, tokens: int, *, now: datetime | None = None
) -> tuple[int | None, int]:
    """(cost in nano-dollars, output tokens) that a call of so many input tokens is likely to have. None: no price."""
    at = now or datetime.now(UTC)
    known = records(store, organization.id, now=at)
    sums = next((one for one in known.models if (one.provider, one.model) == (provider, model)), None)
    output = _output_tokens(known, sums)
    card = find_card(provider, model, at, input_tokens=tokens, overrides=known.overrides)
    return (cost_nanos(Usage(input_uncached=tokens, output_text=output), card) if card else None), output


def settings_of(store: Store, organization_id: int) -> RoutingSettings:
    """The routing settings of an organization, at most a second old."""
    key = (id(store), organization_id)
    until, found = _settings.get(key, (0.0, None))
    if found is None or time.monotonic() >= until:
        with store.read() as tx:
            found = routing_store.routing_settings(tx, organization_id)
        _settings[key] = (time.monotonic() + _TRUST_SECONDS, found)
    return found


def change_settings(
    store: Store, organization_id: int, by: str, changes: dict[str, Any], *, now: datetime | None = None
) -> RoutingSettings:
    """Changes some routing settings; the audit log tells who did."""
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> RoutingSettings:
        changed = replace(routing_store.routing_settings(tx, organization_id), **changes)
        routing_store.put_routing_settings(tx, organization_id, changed)
        add_audit(
            tx, organization_id, at=at, actor=by, action="routing.changed", subject="routing", details=dict(changes)
        )
        return changed

    changed = store.transact(work)
    forget(store, organization_id)
    return changed


def configure_providers(
    store: Store, organization_id: int, by: str, configs: Sequence[ProviderConfig], *, now: datetime | None = None
) -> None:
    """Replaces the organization's providers."""
    at = now or datetime.now(UTC)
    names = [config.provider for config in configs]

    def work(tx: Tx) -> None:
        routing_store.put_provider_configs(tx, organization_id, configs)
        add_audit(
            tx,
            organization_id,
            at=at,
            actor=by,
            action="providers.changed",
            subject="providers",
            details={"providers": names},
        )

    store.transact(work)
    forget(store, organization_id)


def providers_of(store: Store, organization_id: int) -> list[ProviderConfig]:
    """The organization's providers in their order."""
    with store.read() as tx:
        return routing_store.provider_configs(tx, organization_id)
