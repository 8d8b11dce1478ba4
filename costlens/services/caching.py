"""Answers from the cache: found by what was asked, and recorded as runs that cost nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from costlens.domain.periods import local_day
from costlens.domain.runs import RunInput
from costlens.domain.shown import moment
from costlens.domain.usage import Usage
from costlens.response_cache import Cached, ResponseCache
from costlens.services.ingest import ingest
from costlens.services.routing import settings_of
from costlens.store.engine import Store
from costlens.store.organizations import KeyRow

DEFAULT_SECONDS = 3_600
LONGEST_SECONDS = 7 * 86_400


def seconds_of(ttl: float | None) -> int:
    """A life in seconds, 1 to 7 days; what is longer than that in seconds came in milliseconds."""
    if ttl is None:
        return DEFAULT_SECONDS
    return int(min(LONGEST_SECONDS, max(1, ttl / 1000 if ttl > LONGEST_SECONDS else ttl)))


def name_of(provider: str, model: str, messages: Any, parameters: Mapping[str, Any] | None) -> str:
    """What an answer is known by: provider, model, messages and parameters, whatever the order of their fields."""
    asked = msgspec.json.encode([provider, model, messages, parameters or None], order="deterministic")
    return hashlib.sha256(asked).hexdigest()


def enabled(store: Store, organization_id: int) -> bool:
    """Whether the organization turned its cache on; at most a second old."""
    return settings_of(store, organization_id).cache_enabled


def find(
    store: Store, cache: ResponseCache, key: KeyRow, name: str, provider: str, model: str, now: datetime
) -> Cached | None:
    """A kept answer, recorded as a run of no tokens and no cost that saved what the call would have cost."""
    organization = key.organization
    if not enabled(store, organization.id):
        return None
    found = cache.find(organization.id, name, local_day(now, organization.timezone))
    if found is not None:
        run = RunInput(
            provider, model, Usage(), now, cache_hit=True, reported_cost_nanos=0, saved_cost_nanos=found.cost_nanos
        )
        ingest(store, key, [run], now=now)
    return found


def keep(
    store: Store,
    cache: ResponseCache,
    key: KeyRow,
    name: str,
    response: bytes,
    *,
    tokens: int,
    cost_nanos: int | None,
    seconds: int,
    now: datetime,
) -> str | None:
    """Keeps an answer; says why not. None: it is kept."""
    organization = key.organization
    if not enabled(store, organization.id):
        return "The cache is off: it keeps answers, so an organization turns it on with PUT /cache/settings"
    entry = Cached(response, tokens, cost_nanos, moment(now))
    today = local_day(now, organization.timezone)
    if not cache.keep(organization.id, name, entry, seconds, today):
        return "The answer is larger than 1 MiB, or the cache is away"
    return None
