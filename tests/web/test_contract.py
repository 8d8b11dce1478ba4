"""The documented requests of the API, sent as documented, and their answers field by field."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from costlens.domain.runs import RunInput
from costlens.domain.usage import from_fields
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.services.organizations import set_organization
from costlens.store.engine import Store
from tests.web.caller import Caller

PREFIXES = ("", "/api")

# The documented bodies, letter by letter.
QUICK_START = (
    r'{"provider":"openai","model":"gpt-5.4","input":"{\"messages\":[...]}","output":"Hello","tokensUsed":100,'
    r'"latency":800,"success":true}'
)
QUICK_TEST = (
    '{"provider": "openai", "model": "gpt-5.4", "input": "Hello", "output": "Hi there!", "tokensUsed": 10, '
    '"latency": 500, "success": true}'
)
MAIN_EXAMPLE = r"""{
  "provider": "openai",
  "model": "gpt-5.4",
  "input": "{\"messages\":[...]}",
  "output": "Hello! How can I help you?",
  "tokensUsed": 150,
  "latency": 1234,
  "success": true,
  "promptId": "greeting-v1"
}"""
CURL_RUN = r"""{
    "provider": "openai",
    "model": "gpt-5.4",
    "input": "{\"messages\":[...]}",
    "output": "Hello!",
    "tokensUsed": 150,
    "latency": 1234,
    "success": true
  }"""
BATCH = """{
  "runs": [
    {
      "provider": "openai",
      "model": "gpt-5.4",
      "input": "Hello, how are you?",
      "output": "I'm doing well, thank you!",
      "tokensUsed": 150,
      "latency": 1200,
      "success": true
    },
    {
      "provider": "anthropic",
      "model": "claude-3",
      "input": "What's the weather like?",
      "output": "I don't have access to real-time weather data.",
      "tokensUsed": 200,
      "latency": 1000,
      "success": true
    }
  ]
}"""
CURL_BATCH = """{
    "runs": [
      {
        "provider": "openai",
        "model": "gpt-5.4",
        "input": "First prompt",
        "output": "First response",
        "tokensUsed": 150,
        "latency": 1200,
        "success": true,
        "requestId": "req_123"
      },
      {
        "provider": "anthropic",
        "model": "claude-3",
        "input": "Second prompt",
        "output": "Second response",
        "tokensUsed": 200,
        "latency": 1000,
        "success": true,
        "requestId": "req_124"
      }
    ]
  }"""

# 1,000 tokens in and 100 out at 2.5 and 15 dollars a million.
CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
CALL_COST = 0.004

DOCUMENTED_RUN = {"id", "requestId", "correlationId", "provider", "model", "success"}
OWN_RUN = {"cost", "costStatus", "promptId"}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("body", "tokens", "prompt"),
    [
        (QUICK_START, 100, None),
        (QUICK_TEST, 10, None),
        (MAIN_EXAMPLE, 150, "greeting-v1"),
        (CURL_RUN, 150, None),
    ],
    ids=["quick start", "quick test", "main example", "cURL"],
)
def test_run_as_documented(alice: Caller, prefix: str, body: str, tokens: int, prompt: str | None) -> None:
    response = alice.post(f"{prefix}/integrations/run", body)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    answer = response.json
    assert answer.keys() == {"success", "run"}
    assert answer["success"] is True
    run = answer["run"]
    assert run.keys() == DOCUMENTED_RUN | OWN_RUN
    assert run["id"].startswith("run_")
    assert run["requestId"].startswith("req_")
    assert run["correlationId"].startswith("corr_")
    assert (run["provider"], run["model"], run["success"]) == ("openai", "gpt-5.4", True)
    assert run["promptId"] == prompt
    # A bare total is split by guess: the cost lies between all input and all output, and says so.
    assert tokens * 2.5e-6 < run["cost"] < tokens * 15e-6
    assert run["costStatus"] == "estimated"
    kept = alice.json(f"{prefix}/runs/{run['id']}")["run"]
    assert kept["tokensUsed"] == tokens
    assert kept["cost"] == run["cost"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("body", [BATCH, CURL_BATCH], ids=["example", "cURL"])
def test_batch_as_documented(alice: Caller, prefix: str, body: str) -> None:
    response = alice.post(f"{prefix}/integrations/batch", body)
    assert response.status_code == 200
    answer = response.json
    assert answer["success"] is True
    assert (answer["processed"], answer["errors"]) == (2, 0)
    assert answer["batchStats"] == {"totalRuns": 2, "successful": 2, "failed": 0, "successRate": 100}
    openai, anthropic = answer["runs"]
    assert openai.keys() >= DOCUMENTED_RUN
    assert (openai["provider"], openai["model"], openai["success"]) == ("openai", "gpt-5.4", True)
    assert (anthropic["provider"], anthropic["model"], anthropic["success"]) == ("anthropic", "claude-3", True)
    assert openai["cost"] > 0
    assert anthropic["cost"] is None  # no price is known for `claude-3`: unknown, not free
    assert anthropic["costStatus"] == "unpriced"
    assert [item["status"] for item in answer["results"]] == [200, 200]
    assert answer["errorDetails"] == []
    if body is CURL_BATCH:
        assert [run["requestId"] for run in answer["runs"]] == ["req_123", "req_124"]


def test_an_unpriced_run_is_never_shown_as_free(alice: Caller) -> None:
    ids = [run["id"] for run in alice.post("/integrations/batch", BATCH).json["runs"]]
    priced, unpriced = (alice.json(f"/runs/{run}")["run"] for run in ids)
    assert unpriced["cost"] is None
    assert unpriced["listCost"] is None
    assert unpriced["price"]["lines"] == []
    overview = alice.json("/analytics/overview")
    assert overview["totalRuns"] == 2
    assert overview["totalCost"] == overview["avgCostPerRun"] == priced["cost"]
    assert overview["coverage"]["priced"] == 0.5


@pytest.mark.parametrize("prefix", PREFIXES)
def test_overview_as_documented(alice: Caller, prefix: str) -> None:
    runs = [
        CALL | {"timestamp": "2024-12-31T23:59:59.999Z"},  # the day before
        CALL | {"timestamp": "2025-01-01T00:00:00Z", "latency": 100},
        CALL | {"timestamp": "2025-01-15T10:00:00Z", "latency": 200},
        CALL | {"timestamp": "2025-01-15T12:00:00Z", "latency": 300, "success": False},
        CALL | {"timestamp": "2025-01-31T23:59:59.999Z", "provider": "anthropic", "model": "claude-3"},
        CALL | {"timestamp": "2025-02-01T00:00:00Z"},  # the day after
    ]
    assert alice.post("/integrations/batch", {"runs": runs}).status_code == 200
    answer = alice.json(f"{prefix}/analytics/overview?startDate=2025-01-01&endDate=2025-01-31")
    documented = {
        "totalRuns", "totalCost", "totalTokens", "avgCostPerRun", "successRate", "avgLatency", "dailyData", "byModel",
        "byProvider",
    }  # fmt: skip
    assert documented <= answer.keys()
    assert answer["totalRuns"] == 4
    assert answer["totalCost"] == pytest.approx(3 * CALL_COST, abs=1e-12)
    assert answer["totalTokens"] == 4 * 1100
    assert answer["avgCostPerRun"] == pytest.approx(CALL_COST, abs=1e-12)  # of the three that have a price
    assert answer["successRate"] == 75
    assert answer["avgLatency"] == 200  # of the three that told one
    days = answer["dailyData"]
    assert [day["date"] for day in days] == [f"2025-01-{day:02}" for day in range(1, 32)]
    assert all({"date", "runs", "cost", "tokens"} <= day.keys() for day in days)
    assert [day["runs"] for day in days if day["runs"]] == [1, 2, 1]
    for name, total in (("runs", "totalRuns"), ("cost", "totalCost"), ("tokens", "totalTokens")):
        for group in ("dailyData", "byModel", "byProvider"):
            summed = sum(row[name] or 0 for row in answer[group])
            assert summed == pytest.approx(answer[total], abs=1e-12), (group, name)
    assert [row["model"] for row in answer["byModel"]] == ["gpt-5.4", "claude-3"]
    assert [row["provider"] for row in answer["byProvider"]] == ["openai", "anthropic"]
    for unpriced in (days[-1], answer["byModel"][-1], answer["byProvider"][-1]):
        assert (unpriced["runs"], unpriced["cost"]) == (1, None)  # unknown, not free
    assert days[1]["cost"] == 0  # nothing ran, nothing was spent
    assert (answer["startDate"], answer["endDate"], answer["timezone"]) == ("2025-01-01", "2025-01-31", "UTC")
    assert answer["coverage"] == {"priced": 0.75, "exactUsage": 1, "linked": 0}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_overview_of_nothing_has_the_same_shape(alice: Caller, prefix: str) -> None:
    answer = alice.json(f"{prefix}/analytics/overview?startDate=2025-01-01&endDate=2025-01-31")
    for name in ("totalRuns", "totalCost", "totalTokens", "avgCostPerRun", "successRate", "avgLatency"):
        assert is_number(answer[name])
        assert answer[name] == 0
    assert len(answer["dailyData"]) == 31
    assert answer["byModel"] == answer["byProvider"] == []


def test_overview_takes_times_and_a_time_zone(alice: Caller) -> None:
    alice.post("/integrations/run", CALL | {"timestamp": "2025-01-16T01:30:00Z"})
    in_utc = alice.json("/analytics/overview?startDate=2025-01-16T00:00:00Z&endDate=2025-01-16T23:00:00Z")
    assert [(day["date"], day["runs"]) for day in in_utc["dailyData"]] == [("2025-01-16", 1)]
    in_new_york = alice.json("/analytics/overview?startDate=2025-01-15&endDate=2025-01-16&timezone=America/New_York")
    assert [day["runs"] for day in in_new_york["dailyData"]] == [1, 0]


def test_overview_covers_thirty_days_unless_told(alice: Caller) -> None:
    now = datetime.now(UTC)
    for days in (0, 29, 31):
        alice.post("/integrations/run", CALL | {"timestamp": (now - timedelta(days=days)).isoformat()})
    answer = alice.json("/analytics/overview")
    assert len(answer["dailyData"]) == 30
    assert answer["totalRuns"] == 2
    assert alice.json("/analytics/overview?days=40")["totalRuns"] == 3


def test_overview_as_csv_says_the_same(alice: Caller) -> None:
    models = {"2025-01-10": "gpt-5.4", "2025-01-11": "gpt-unheard-of", "2025-01-13": "gpt-5.4"}
    runs = [CALL | {"timestamp": f"{day}T10:00:00Z", "model": model} for day, model in models.items()]
    alice.post("/integrations/batch", {"runs": runs})
    period = "startDate=2025-01-10&endDate=2025-01-13"
    response = alice.get(f"/analytics/overview?{period}&format=csv")
    assert response.mimetype == "text/csv"
    *days, total = csv.DictReader(io.StringIO(response.text))
    shown = alice.json(f"/analytics/overview?{period}")
    assert [
        (row["date"], int(row["runs"]), float(row["cost"]) if row["cost"] else None, int(row["tokens"])) for row in days
    ] == [(day["date"], day["runs"], day["cost"], day["tokens"]) for day in shown["dailyData"]]
    assert [row["cost"] for row in days] == ["0.004", "", "0.0", "0.004"]
    assert (total["date"], int(total["runs"]), float(total["cost"])) == ("total", 3, shown["totalCost"])


@pytest.mark.parametrize("filters", ["provider=openai", "model=gpt-5.4", "provider=OpenAI&model=gpt-5.4"])
def test_overview_filters(alice: Caller, filters: str) -> None:
    alice.post("/integrations/batch", BATCH)
    answer = alice.json(f"/analytics/overview?{filters}")
    assert answer["totalRuns"] == 1
    assert [row["provider"] for row in answer["byProvider"]] == ["openai"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_usage_as_documented(store: Store, alice: Caller, alice_key: str, prefix: str) -> None:
    set_organization(store, "Acme", {"plan": "free"})
    usage = from_fields("openai", input_tokens=10, output_tokens=1)
    run = RunInput("openai", "gpt-5.4", usage, datetime(2025, 1, 15, tzinfo=UTC))
    ingest(store, authenticate(store, alice_key, "ingest"), [run] * 234)
    assert alice.json(f"{prefix}/usage") == {
        "plan": "free",
        "runsThisMonth": 234,  # by the day they came, not the day they are of
        "runsLimit": 1000,
        "percentUsed": 23.4,
    }


def test_usage_of_a_plan_without_a_limit(alice: Caller) -> None:
    assert alice.json("/usage") == {
        "plan": "self-hosted", "runsThisMonth": 0, "runsLimit": None, "percentUsed": None,
    }  # fmt: skip


def test_usage_counts_only_this_month(store: Store, alice: Caller, alice_key: str) -> None:
    key = authenticate(store, alice_key, "ingest")
    last_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(milliseconds=1)
    usage = from_fields("openai", input_tokens=10, output_tokens=1)
    ingest(store, key, [RunInput("openai", "gpt-5.4", usage, last_month)], now=last_month)
    alice.post("/integrations/run", CALL)
    assert alice.json("/usage")["runsThisMonth"] == 1


# What programs in the field send, beyond the documents.


def test_requests_envelope(alice: Caller) -> None:
    items = [{"provider": "openai", "model": "gpt-5.4", "prompt": "Hello", "output": "Hi", "tokens": 150}]
    response = alice.post("/integrations/batch", {"requests": items})
    assert response.status_code == 200
    run = alice.json(f"/runs/{response.json['runs'][0]['id']}")["run"]
    assert run["tokensUsed"] == 150


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"promptId": None},
        {"correlationId": None, "requestId": None},
        {"savings": -0.01},
        {"output": ""},
        {"input": [{"role": "user", "content": "Hi"}], "output": {"text": "Hello"}},
        {"error": "", "sessionId": "", "repo": "", "branch": "", "actor": ""},
        {"tags": ["a", "b"]},
        {"metadata": {"team": "x", "nested": {"a": [1]}}},
        {"someFieldOfTomorrow": {"a": 1}},
        {"latency": 812.7},
        {"cost": 0},
        {"timestamp": "2025-01-15T10:00:00"},
    ],
    ids=str,
)
def test_shapes_of_real_clients(alice: Caller, extra: dict[str, Any]) -> None:
    response = alice.post("/integrations/run", CALL | extra)
    assert response.status_code == 200, response.text
    assert response.json["run"]["correlationId"].startswith("corr_")


def test_ids_of_the_caller_come_back(alice: Caller) -> None:
    run = alice.post("/integrations/run", CALL | {"requestId": "r-1", "correlationId": "c-1"}).json["run"]
    assert (run["requestId"], run["correlationId"]) == ("r-1", "c-1")


def test_a_repeated_request_id_is_the_same_run(alice: Caller) -> None:
    first, again = (alice.post("/integrations/run", CALL | {"requestId": "r-1"}).json["run"] for _ in range(2))
    assert first == again
    assert alice.json("/analytics/overview")["totalRuns"] == 1


def test_a_reported_cost_stands(alice: Caller) -> None:
    run = alice.post("/integrations/run", CALL | {"cost": 0.1}).json["run"]
    assert (run["cost"], run["costStatus"]) == (0.1, "reported")
    assert alice.json(f"/runs/{run['id']}")["run"]["listCost"] == CALL_COST


def test_native_usage_objects_price_exactly(alice: Caller) -> None:
    openai = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}}
    run = alice.post("/integrations/run", {"provider": "openai", "model": "gpt-5.4", "usage": openai}).json["run"]
    assert run["cost"] == pytest.approx((600 * 2.5 + 400 * 0.25 + 100 * 15) / 1e6, abs=1e-12)
    assert run["costStatus"] == "priced"


def test_metadata_may_carry_what_stands_beside_it(alice: Caller) -> None:
    metadata = {"repo": "https://github.com/acme/web.git", "branch": "feat/x", "prNumber": 7, "promptId": "p-v3"}
    run = alice.post("/integrations/run", CALL | {"metadata": metadata}).json["run"]
    kept = alice.json(f"/runs/{run['id']}")["run"]
    assert (kept["repo"], kept["branch"], kept["prNumber"], kept["promptId"]) == ("acme/web", "feat/x", 7, "p-v3")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "text/plain", None])
def test_content_types_that_clients_send(app: Flask, alice_key: str, content_type: str | None) -> None:
    headers = {"Authorization": f"Bearer {alice_key}"} | ({"Content-Type": content_type} if content_type else {})
    response = app.test_client().post("/integrations/run", headers=headers, data=QUICK_TEST)
    assert response.status_code == 200


def test_health_needs_no_key(nobody: Caller) -> None:
    for prefix in PREFIXES:
        assert nobody.json(f"{prefix}/healthz") == {"status": "ok"}
        ready = nobody.json(f"{prefix}/readyz")
        prices = ready["checks"].pop("prices")
        assert prices["version"].startswith("genai-prices ")
        rollups = {"checkedAt": None, "drift": 0}
        assert ready["checks"] == {
            "database": True,
            "migrations": True,
            "queue": False,
            "worker": None,
            "rollups": rollups,
        }
