"""The limits of each plan: requests and batches by the minute under a clock that the test moves, runs by the month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from flask import Flask
from redis import Redis

from costlens.config import Settings, load_settings
from costlens.domain.runs import RunInput
from costlens.domain.usage import from_fields
from costlens.factory import create_app
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate, create_key
from costlens.services.organizations import set_organization
from costlens.store.engine import Store
from tests.e2e.servers import queue_at
from tests.web.caller import Caller, error_of, stored

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 10, "outputTokens": 1}
BATCH = {"runs": [RUN]}


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with TemporaryDirectory() as folder, queue_at(Path(folder)) as url:
        yield url


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("limits.storage.redis.time", SimpleNamespace(time=made.time))
    monkeypatch.setattr("costlens.rate_limits.time", SimpleNamespace(time=made.time, monotonic=lambda: 0.0))
    return made


@pytest.fixture
def app(store: Store, settings: Settings, redis: str) -> Iterator[Flask]:
    """The application with a Redis that has counted nothing yet."""
    Redis.from_url(redis).flushall()
    given = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url, "REDIS_URL": redis}
    made = create_app(load_settings(given))
    yield made
    made.extensions["costlens"].store.close()


@pytest.fixture
def free(store: Store, alice: Caller) -> Caller:
    """alice, whose organization is on the free plan."""
    set_organization(store, "Acme", {"plan": "free"})
    return alice


def month_used(store: Store, key: str, runs: int, now: datetime | None = None) -> None:
    usage = from_fields("openai", input_tokens=10, output_tokens=1)
    run = RunInput("openai", "gpt-5.4", usage, datetime(2025, 1, 15, tzinfo=UTC))
    ingest(store, authenticate(store, key, "ingest"), [run] * runs, now=now)


def test_the_last_request_of_a_minute(free: Caller, clock: Clock) -> None:
    answers = [free.get("/usage") for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == [str(n) for n in range(59, -1, -1)]
    assert answers[0].headers["X-RateLimit-Limit"] == "60"
    refused = free.get("/usage")
    body = error_of(refused, 429, "rate_limited")
    assert body["error"] == "Rate limit exceeded"
    assert body["retryAfter"] == 60
    assert refused.headers["Retry-After"] == "60"
    shown = {name: refused.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")}
    assert shown == {"Limit": "60", "Remaining": "0", "Reset": "60"}


def test_the_minute_slides(free: Caller, clock: Clock) -> None:
    for _ in range(30):
        free.get("/usage")
    clock.now += 40
    for _ in range(30):
        free.get("/usage")
    assert free.get("/usage").json["retryAfter"] == 20
    clock.now += 20.5
    assert [free.get("/usage").status_code for _ in range(31)] == [200] * 30 + [429]


@pytest.mark.parametrize(("plan", "requests"), [("starter", 300), ("pro", 1_000), ("enterprise", 5_000)])
def test_other_plans(store: Store, app: Flask, alice: Caller, clock: Clock, plan: str, requests: int) -> None:
    set_organization(store, "Acme", {"plan": plan})
    limits = app.extensions["costlens"].limits
    answer = alice.get("/usage")
    assert answer.headers["X-RateLimit-Limit"] == str(requests)
    with store.read() as tx:
        key = tx.exec_driver_sql("SELECT id FROM api_keys").scalar_one()
    for _ in range(requests - 2):
        assert limits.take(f"request:{key}", requests).allowed
    assert [alice.get("/usage").status_code for _ in range(2)] == [200, 429]


def test_settings_are_requests_too(store: Store, app: Flask, free: Caller, clock: Clock) -> None:
    owner = Caller(app, create_key(store, "Acme", "mine", member="alice@example.com", scopes="read admin"))
    assert {owner.get("/teams").status_code for _ in range(60)} == {200}
    error_of(owner.post("/teams", {"name": "One more"}), 429, "rate_limited")
    error_of(owner.get("/export"), 429, "rate_limited")


def test_each_key_has_a_minute_of_its_own(store: Store, app: Flask, free: Caller, clock: Clock) -> None:
    for _ in range(61):
        last = free.get("/usage")
    assert last.status_code == 429
    assert Caller(app, create_key(store, "Acme", "another")).get("/usage").status_code == 200


def test_a_refused_run_is_not_stored(store: Store, free: Caller, clock: Clock) -> None:
    for _ in range(60):
        free.get("/usage")
    for path, body in (("/integrations/run", RUN), ("/integrations/batch", BATCH), ("/api/integrations/run", RUN)):
        error_of(free.post(path, body), 429, "rate_limited")
    assert stored(store)["runs"] == 0


def test_a_request_that_asks_twice_for_its_key_counts_once(store: Store, free: Caller, clock: Clock) -> None:
    run = free.post("/integrations/run", RUN).json["run"]["id"]
    answer = free.post(f"/runs/{run}/links", {"action": "confirm", "prNumber": 1, "repo": "acme/web"})
    assert answer.headers["X-RateLimit-Remaining"] == "58"


def test_batches_by_the_minute(free: Caller, clock: Clock) -> None:
    answers = [free.post("/integrations/batch", BATCH) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["X-RateLimit-Limit"] == "5"
    assert free.post("/integrations/run", RUN).status_code == 200  # the minute of requests goes on
    clock.now += 61
    assert free.post("/integrations/batch", BATCH).status_code == 200


def test_a_batch_is_one_request(free: Caller, clock: Clock) -> None:
    free.post("/integrations/batch", {"runs": [RUN] * 10})
    assert free.get("/usage").headers["X-RateLimit-Remaining"] == "58"


def test_the_default_plan_refuses_nothing(alice: Caller, clock: Clock) -> None:
    answers = [alice.get("/usage") for _ in range(70)]
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[-1].headers
    assert {alice.post("/integrations/batch", BATCH).status_code for _ in range(10)} == {200}


def test_without_redis_all_is_allowed(store: Store, settings: Settings, free: Caller, alice_key: str) -> None:
    made = create_app(load_settings({"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}))
    caller = Caller(made, alice_key)
    answers = [caller.post("/integrations/run", RUN) for _ in range(65)]
    made.extensions["costlens"].store.close()
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[-1].headers
    assert stored(store)["runs"] == 65


def test_a_warning_from_four_fifths_of_the_month(store: Store, free: Caller, alice_key: str, clock: Clock) -> None:
    month_used(store, alice_key, 798)
    assert "warning" not in free.post("/integrations/run", RUN).json
    answer = free.post("/integrations/run", RUN).json
    assert answer["success"] is True
    assert answer["warning"] == {
        "code": "monthly_runs",
        "message": "800 of the free plan's 1,000 runs of this month are used",
        "runsThisMonth": 800,
        "runsLimit": 1000,
        "percentUsed": 80.0,
    }
    assert free.post("/integrations/batch", BATCH).json["warning"]["runsThisMonth"] == 801


def test_past_the_month_s_runs(store: Store, free: Caller, alice_key: str, clock: Clock) -> None:
    month_used(store, alice_key, 999)
    assert free.post("/integrations/run", RUN).json["warning"]["percentUsed"] == 100
    for path, body in (("/integrations/run", RUN), ("/integrations/batch", BATCH)):
        error = error_of(free.post(path, body), 402, "payment_required")["error"]
        assert error.startswith("Payment Required - Upgrade needed: 1,000 of the free plan's 1,000 runs")
    assert stored(store)["runs"] == 1000
    assert free.json("/usage")["percentUsed"] == 100  # reading goes on


def test_a_batch_that_crosses_the_month_s_limit(store: Store, free: Caller, alice_key: str, clock: Clock) -> None:
    month_used(store, alice_key, 998)
    answer = free.post("/integrations/batch", {"runs": [RUN, {}, RUN, RUN]})
    assert answer.status_code == 207
    assert [item["status"] for item in answer.json["results"]] == [200, 400, 200, 402]
    assert answer.json["errorDetails"][-1]["code"] == "payment_required"
    assert stored(store)["runs"] == 1000


def test_a_new_month_begins_at_nothing(store: Store, free: Caller, alice_key: str, clock: Clock) -> None:
    month_used(store, alice_key, 1000, now=datetime.now(UTC).replace(year=datetime.now(UTC).year - 1))
    assert "warning" not in free.post("/integrations/run", RUN).json


@pytest.mark.parametrize("plan", ["pro", "enterprise", "self-hosted"])
def test_a_plan_without_a_month_s_limit(store: Store, alice: Caller, alice_key: str, clock: Clock, plan: str) -> None:
    set_organization(store, "Acme", {"plan": plan})
    month_used(store, alice_key, 1001)
    answer = alice.post("/integrations/run", RUN)
    assert answer.status_code == 200
    assert "warning" not in answer.json


def test_a_body_past_the_limit_of_the_server(store: Store, settings: Settings, alice_key: str) -> None:
    given = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}
    made = create_app(load_settings(given | {"COSTLENS_MAX_BODY_BYTES": "2048"}))
    body = error_of(Caller(made, alice_key).post("/integrations/run", RUN | {"input": "x" * 3000}), 413, "too_large")
    made.extensions["costlens"].store.close()
    assert "2048" in body["error"]
    assert stored(store)["runs"] == 0
