"""The documented page, example by example: names, types, nesting and arithmetic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from costlens.services import keys
from costlens.services.keys import create_key
from costlens.services.organizations import set_organization
from costlens.services.routing import _records, _settings
from costlens.store.engine import Store
from tests.web import documented
from tests.web.caller import Caller, error_of
from tests.web.documented import check_shape

BIG = {"provider": "openai", "model": "big"}  # 100 dollars a million tokens
SMALL = {"provider": "openai", "model": "small"}  # 20 dollars a million tokens


@pytest.fixture(autouse=True)
def _no_records() -> None:
    """What another test's organization of the same id has shown is forgotten."""
    _records.clear()
    _settings.clear()


@pytest.fixture
def admin(store: Store, app: Flask, alice_key: str) -> Caller:
    return Caller(app, create_key(store, "Acme", "admin", scopes="ingest read admin"))


@pytest.fixture
def priced(admin: Caller) -> Caller:
    """alice's organization with prices of its own for two models."""
    for model, dollars in ((BIG, 100), (SMALL, 20)):
        body = model | {"rates": {"inputUncached": dollars, "outputText": dollars}}
        response = admin.client.put("/models/prices", headers=admin.headers, json=body)
        assert response.status_code == 200, response.text
    return admin


def send(caller: Caller, *runs: dict[str, Any]) -> None:
    for start in range(0, len(runs), 1000):
        response = caller.post("/integrations/batch", {"runs": list(runs[start : start + 1000])})
        assert response.status_code == 200, response.text


def routed(model: dict[str, Any], asked: dict[str, Any], tokens: int) -> dict[str, Any]:
    return model | {"requestedModel": asked["model"], "inputTokens": tokens, "outputTokens": 0, "latency": 1200}


def test_tracking(alice: Caller) -> None:
    run = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 150, "latency": 1234, "success": True}
    check_shape(documented.RUN, alice.post("/integrations/run", run).json)
    check_shape(documented.BATCH, alice.post("/integrations/batch", {"runs": [run, run]}).json)


def test_overview(alice: Caller) -> None:
    """1,234 runs of 45.67 dollars: 0.037 a run."""
    run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 100, "outputTokens": 0, "latency": 1234}
    day = {"timestamp": "2025-01-15T12:00:00Z"}
    send(alice, *[run | day | {"cost": 0.037, "success": n >= 19} for n in range(1233)], run | day | {"cost": 0.049})
    answer = alice.json("/analytics/overview?startDate=2025-01-01&endDate=2025-01-31")
    check_shape(documented.OVERVIEW, answer)
    assert (answer["totalRuns"], round(answer["totalCost"], 9)) == (1234, 45.67)
    assert round(answer["avgCostPerRun"], 3) == 0.037
    assert round(answer["successRate"], 1) == 98.5
    assert answer["avgLatency"] == 1234
    assert answer["totalTokens"] == 123_400


def test_usage(store: Store, alice: Caller) -> None:
    run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 10, "outputTokens": 1}
    send(alice, *[run] * 234)
    set_organization(store, "Acme", {"plan": "free"})
    keys._trusted.forget()
    fresh = alice.json("/usage")
    check_shape(documented.USAGE, fresh)
    assert fresh["runsThisMonth"] == 234


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_dashboard(priced: Caller, prefix: str) -> None:
    """1,247 runs of 45.67 dollars that saved 23.45: 51 %; 892 + 45 + 310 = 1,247."""
    downgrades = [routed(SMALL, BIG, 1000)] * 310  # 0.02 instead of 0.10 dollars each
    upgrades = [routed(BIG, SMALL, 375)] * 45  # 0.0375 instead of 0.0075
    plain = BIG | {"inputTokens": 10, "outputTokens": 0, "latency": 1200}
    kept = [plain | {"cost": 0.0423, "requestedModel": "big"}] * 891 + [plain | {"cost": 0.0932}]
    send(priced, *downgrades, *upgrades, *kept)
    feedback = {"selectedModel": "big", "originalModel": "big", "qualityRating": 4.68, "wasHelpful": True}
    assert priced.post("/quality/feedback", feedback).status_code == 200
    answer = priced.json(f"{prefix}/dashboard/stats")
    check_shape(documented.DASHBOARD, answer)
    data = answer["data"]
    assert (data["totalRuns"], round(data["totalCost"], 9)) == (1247, 45.67)
    assert (round(data["savings"]["total"], 9), data["savings"]["roi"]) == (23.45, 51)
    assert data["routingDecisions"] == {"total": 1247, "enforced": 892, "qualityUpgrades": 45, "costDowngrades": 310}
    (provider,) = data["providerStats"]
    assert provider == {
        "provider": "openai",
        "requests": 1247,
        "cost": data["totalCost"],
        "avgLatency": 1200,
        "successRate": 1,  # a fraction here
        "qualityScore": 0.92,
    }
    saved = priced.json(f"{prefix}/savings")
    assert (round(saved["total"], 9), saved["roi"]) == (23.45, 51)
    assert (round(saved["routing"], 9), saved["caching"]) == (23.45, 0)
    for group in ("dailyData", "byModel", "byProvider"):
        assert round(sum(row["saved"] for row in saved[group]), 9) == 23.45
        assert round(sum(row["cost"] for row in saved[group]), 9) == 45.67


def test_a_provider_without_feedback_has_no_quality(alice: Caller) -> None:
    send(alice, {"provider": "openai", "model": "gpt-5.4", "inputTokens": 10, "outputTokens": 1, "success": False})
    (provider,) = alice.json("/dashboard/stats")["data"]["providerStats"]
    assert (provider["qualityScore"], provider["successRate"]) == (None, 0)


def test_dashboard_of_nothing(alice: Caller) -> None:
    data = alice.json("/dashboard/stats")["data"]
    assert data["savings"] == {"total": 0, "roi": 0}
    assert data["routingDecisions"] == {"total": 0, "enforced": 0, "qualityUpgrades": 0, "costDowngrades": 0}
    assert data["costForecast"]["next30Days"] == 0
    assert data["providerStats"] == []


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_routing(alice: Caller, prefix: str) -> None:
    """gpt-5.4-mini does as well in the organization's own runs, within the latency asked for, and costs less."""
    run = {"provider": "openai", "inputTokens": 500, "outputTokens": 100, "latency": 900}
    send(alice, *[run | {"model": model} for model in ("gpt-5.4", "gpt-5.4-mini")] * 120)
    _records.clear()
    _settings.clear()
    request = json.loads(documented.ROUTE_REQUEST) | {"model": "gpt-5.4"}
    answer = alice.post(f"{prefix}/routing/context-aware", request).json
    check_shape(documented.ROUTE, answer)
    assert (answer["decision"]["provider"], answer["decision"]["model"]) == ("openai", "gpt-5.4-mini")
    assert "120 runs" in answer["decision"]["reason"]
    assert "within 3000 ms" in answer["decision"]["reason"]


def test_routing_without_any_history(alice: Caller) -> None:
    answer = alice.post("/routing/context-aware", documented.ROUTE_REQUEST).json
    check_shape(documented.ROUTE, answer)
    assert answer["decision"]["reason"].startswith("No history yet")
    assert answer["routingDecision"]["confidence"] == 0.3


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_predictions(alice: Caller, prefix: str) -> None:
    """Cost falls from day to day, except for one model, which is told of."""
    now = datetime.now(UTC)
    runs = []
    for age in range(1, 40):
        at = {"timestamp": (now - timedelta(days=age)).isoformat()}
        runs += [{"provider": "anthropic", "model": "claude-opus-4-1", "inputTokens": 10, "outputTokens": 1,
                  "cost": 2 + age / 2} | at] * 2  # fmt: skip
        runs += [{"provider": "openai", "model": "gpt-5.4", "inputTokens": 900_000, "outputTokens": 100_000} | at] * (
            3 if age <= 7 else 1
        )
        runs += [{"provider": "openai", "model": "gpt-5.4-mini", "inputTokens": 10, "outputTokens": 1} | at] * 2
    send(alice, *runs)
    answer = alice.json(f"{prefix}/cost/predictive?windowDays=30&type=forecast")
    check_shape(documented.PREDICTIVE, answer)
    forecast = answer["forecast"]
    assert forecast["trend"] == "down"
    assert 0 < forecast["low80"] <= forecast["projectedMonthlyCost"] <= forecast["high80"]
    assert len(forecast["daily"]) == 30
    assert sum(day["predictedCost"] for day in forecast["daily"]) == pytest.approx(forecast["projectedMonthlyCost"])
    assert any(alert["message"].startswith("Cost trending up for gpt-5.4:") for alert in answer["alerts"])
    assert any("gpt-5.4-mini" in text and text.startswith("Shift 20% of") for text in answer["recommendations"])
    shown = alice.json(f"{prefix}/dashboard/stats")["data"]["costForecast"]
    assert shown["next30Days"] == forecast["projectedMonthlyCost"]  # one source for both
    assert (shown["trend"], shown["confidence"]) == ("decreasing", round(100 * forecast["confidence"]))
    assert sum(day["predictedCost"] for day in forecast["daily"][:7]) == pytest.approx(shown["next7Days"])


def test_errors(alice: Caller, nobody: Caller) -> None:
    assert error_of(nobody.get("/usage"), 401, "unauthorized")["error"] == "Unauthorized - Invalid API key"


def test_cost_analysis(alice: Caller) -> None:
    question = {"prompt": "Hello, how are you?", "model": "gpt-5.4", "provider": "openai"}
    answer = alice.post("/cost-analysis", question).json
    assert answer["estimatedTokens"] == 5  # 19 characters
    expected = (5 * 2.5 + answer["estimatedOutputTokens"] * 15) / 1e6
    assert answer["estimatedCost"] == pytest.approx(expected, abs=1e-9)
    assert isinstance(answer["recommendations"], list)
    assert datetime.fromisoformat(answer["timestamp"]).tzinfo is not None
    unknown = alice.post("/cost-analysis", question | {"model": "gpt-unheard-of"}).json
    assert unknown["estimatedCost"] is None
    assert "PUT /models/prices" in unknown["recommendations"][0]
    for name in question:
        left = {key: value for key, value in question.items() if key != name}
        assert error_of(alice.post("/cost-analysis", left), 400, "invalid_input")["field"] == name
