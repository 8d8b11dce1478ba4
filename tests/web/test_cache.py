"""Answers kept for exactly the same question, with a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.response_cache import Cached, ResponseCache
from costlens.services import caching
from costlens.services.keys import create_key
from costlens.services.routing import _records, _settings
from costlens.services.verify import check
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.e2e.servers import queue_at
from tests.web.caller import Caller, error_of

QUESTION = {"provider": "openai", "model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {"choices": [{"message": {"content": "Hello"}}], "usage": {"total_tokens": 15}}
ENTRY = QUESTION | {"response": ANSWER, "tokens": 15, "cost": 0.004, "ttl": 3600}
TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with TemporaryDirectory() as folder, queue_at(Path(folder)) as url:
        yield url


@pytest.fixture
def app(store: Store, settings: Settings, redis: str) -> Iterator[Flask]:
    """The application with an empty Redis."""
    Redis.from_url(redis).flushall()
    _records.clear()
    _settings.clear()
    given = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url, "REDIS_URL": redis}
    made = create_app(load_settings(given))
    yield made
    made.extensions["costlens"].store.close()


@pytest.fixture
def admin(store: Store, app: Flask, alice_key: str) -> Caller:
    return Caller(app, create_key(store, "Acme", "admin", scopes="ingest read admin"))


def switch(admin: Caller, on: bool) -> None:
    answer = admin.client.put("/cache/settings", headers=admin.headers, json={"enabled": on})
    assert answer.json == {"success": True, "enabled": on}


def test_what_was_kept_is_found_and_costs_nothing(
    store: Store, acme: Organization, admin: Caller, alice: Caller
) -> None:
    switch(admin, True)
    assert alice.post("/cache/get", QUESTION).json == {"hit": False}
    assert alice.post("/cache/set", ENTRY).json == {"success": True, "stored": True, "reason": None, "ttl": 3600}
    found = alice.post("/api/cache/get", QUESTION).json
    assert (found["hit"], found["response"], found["savedCost"]) == (True, ANSWER, 0.004)
    assert datetime.fromisoformat(found["cachedAt"]).date() == TODAY
    stats = alice.json("/cache/stats?days=7")
    assert (stats["hits"], stats["misses"], stats["hitRate"], stats["savedCost"]) == (1, 1, 0.5, 0.004)
    assert len(stats["dailyData"]) == 7
    assert stats["dailyData"][-1] == {
        "date": TODAY.isoformat(),
        "hits": 1,
        "misses": 1,
        "stored": 1,
        "savedCost": 0.004,
    }
    # The hit is a run that cost nothing and saved what the call would have cost.
    (run,) = alice.json("/runs")["runs"]
    assert (run["provider"], run["model"], run["cost"], run["tokensUsed"]) == ("openai", "gpt-4o", 0, 0)
    saved = alice.json("/savings")
    assert (saved["total"], saved["caching"], saved["routing"], saved["cachedRuns"]) == (0.004, 0.004, 0, 1)
    data = alice.json("/dashboard/stats")["data"]
    assert data["savings"]["total"] == 0.004
    assert data["routingDecisions"] == {"total": 1, "enforced": 1, "qualityUpgrades": 0, "costDowngrades": 0}
    assert check(store, acme.id).differing == 0
    assert alice.post("/models/reprice", {}).json["changed"] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"provider": "anthropic"},
        {"model": "gpt-4o-mini"},
        {"messages": [{"role": "user", "content": "Hi!"}]},
        {"parameters": {"temperature": 0}},
    ],
    ids=str,
)
def test_another_question_is_not_found(admin: Caller, other: dict[str, Any]) -> None:
    switch(admin, True)
    admin.post("/cache/set", ENTRY)
    assert admin.post("/cache/get", QUESTION | other).json["hit"] is False


def test_the_order_of_fields_does_not_matter(admin: Caller) -> None:
    switch(admin, True)
    admin.post("/cache/set", ENTRY | {"parameters": {"a": 1, "b": 2}})
    turned = {"messages": [{"content": "Hi", "role": "user"}], "parameters": {"b": 2, "a": 1}}
    assert admin.post("/cache/get", QUESTION | turned).json["hit"] is True


def test_another_organization_finds_nothing(store: Store, app: Flask, admin: Caller, charlie_key: str) -> None:
    switch(admin, True)
    admin.post("/cache/set", ENTRY)
    charlie = Caller(app, create_key(store, "Initech", "admin", scopes="ingest read admin"))
    switch(charlie, True)
    assert charlie.post("/cache/get", QUESTION).json["hit"] is False
    assert admin.post("/cache/get", QUESTION).json["hit"] is True


def test_turning_it_off_forgets_everything(admin: Caller) -> None:
    switch(admin, True)
    admin.post("/cache/set", ENTRY)
    switch(admin, False)
    assert admin.post("/cache/get", QUESTION).json["hit"] is False
    assert admin.post("/cache/set", ENTRY).json["stored"] is False
    switch(admin, True)
    assert admin.post("/cache/get", QUESTION).json["hit"] is False


def test_an_answer_that_is_too_large(admin: Caller) -> None:
    switch(admin, True)
    kept = admin.post("/cache/set", ENTRY | {"response": "x" * (1 << 20)}).json
    assert (kept["stored"], kept["success"]) == (False, True)
    assert "1 MiB" in kept["reason"]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(None, 3600), (0, 1), (60, 60), (3_600_000, 3600), (604_800, 604_800), (10**12, 604_800), (0.5, 1)],
)
def test_lives(given: float | None, seconds: int) -> None:
    """Wrappers send seconds, or milliseconds."""
    assert caching.seconds_of(given) == seconds


def test_an_organization_s_share_is_kept(redis: str) -> None:
    """What ends soonest goes first; the others stay."""
    Redis.from_url(redis).flushall()
    cache = ResponseCache(redis, share=1_000)
    entry = Cached(b"x" * 300, 0, None, "")
    for name, seconds in (("late", 900), ("soon", 60), ("later", 1800)):
        assert cache.keep(1, name, entry, seconds, TODAY)
    assert cache.keep(2, "other", entry, 60, TODAY)
    found = {name for name in ("late", "soon", "later") if cache.find(1, name, TODAY)}
    assert found == {"late", "later"}
    assert cache.find(2, "other", TODAY)
    assert cache.keep(1, "late", entry, 900, TODAY)  # in place of itself
    assert {name for name in ("late", "later") if cache.find(1, name, TODAY)} == {"late", "later"}
    assert not cache.keep(1, "huge", Cached(b"x" * 2_000, 0, None, ""), 60, TODAY)


def test_without_redis(store: Store, settings: Settings, admin: Caller, alice_key: str) -> None:
    switch(admin, True)
    given = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}
    made = create_app(load_settings(given))
    _records.clear()
    _settings.clear()
    caller = Caller(made, alice_key)
    assert caller.post("/cache/get", QUESTION).json == {"hit": False}
    assert caller.post("/cache/set", ENTRY).json["stored"] is False
    assert error_of(caller.get("/cache/stats"), 503, "unavailable")["retryAfter"] == 5
    made.extensions["costlens"].store.close()


@pytest.mark.parametrize("body", [{}, QUESTION | {"provider": 5}, QUESTION | {"model": ""}, ENTRY | {"ttl": -1}])
def test_a_question_that_cannot_be(admin: Caller, body: dict[str, Any]) -> None:
    error_of(admin.post("/cache/set", body), 400, "invalid_input")
