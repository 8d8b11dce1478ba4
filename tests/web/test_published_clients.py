"""What published wrappers of OpenAI and Anthropic clients send, and the fields that they read back.

They call below `/api`, except for the route that tracks a run.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from costlens.services.routing import _records, _settings
from tests.web.caller import Caller, error_of

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
# An answer of an OpenAI client, as a wrapper hands it on.
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1736500000,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Fine."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}


@pytest.fixture(autouse=True)
def _no_records() -> None:
    """What another test's organization of the same id has shown is forgotten."""
    _records.clear()
    _settings.clear()


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_a_wrapped_call_is_tracked(alice: Caller) -> None:
    """Undefined fields are left out, the texts are JSON and text, savings may be negative."""
    body = {
        "provider": "openai", "model": "gpt-4o", "requestedModel": "gpt-4", "input": json.dumps(MESSAGES),
        "output": "Fine.", "tokensUsed": 15, "inputTokens": 12, "outputTokens": 3, "latency": 843, "success": True,
        "savings": -0.0001,
    }  # fmt: skip
    answer = alice.post("/integrations/run", body)
    assert answer.status_code == 200
    run = alice.json(f"/runs/{answer.json['run']['id']}")["run"]
    assert (run["model"], run["requestedModel"], run["tokensUsed"]) == ("gpt-4o", "gpt-4", 15)
    assert run["cost"] == pytest.approx((12 * 2.5 + 3 * 10) / 1e6, abs=1e-12)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "grok", "deepseek"])
def test_a_failed_call_is_tracked(alice: Caller, provider: str) -> None:
    body = {
        "provider": provider, "model": "some-model", "input": "test input", "output": "", "tokensUsed": 0,
        "latency": 100, "success": False, "error": "429 Too Many Requests\n at fetch",
    }  # fmt: skip
    answer = alice.post("/integrations/run", body)
    assert answer.status_code == 200
    assert answer.json["run"]["success"] is False


def test_a_streamed_call_has_an_estimate_only(alice: Caller) -> None:
    body = {
        "provider": "openai", "model": "gpt-4o", "input": json.dumps(MESSAGES), "output": "Fine.", "tokensUsed": 2,
        "latency": 900, "success": True,
    }  # fmt: skip
    assert alice.post("/integrations/run", body).json["run"]["costStatus"] == "estimated"


def test_instant_mode_with_a_key(alice: Caller, nobody: Caller) -> None:
    body = {"provider": "openai", "model": "gpt-4", "input": "test", "output": "r", "tokensUsed": 10, "latency": 100,
            "success": True}  # fmt: skip
    answer = alice.post("/api/integrations/run/instant", body).json
    assert answer["success"] is True
    assert answer["run"]["id"].startswith("run_")
    assert answer["analyticsUrl"].startswith("http")
    error_of(nobody.post("/api/integrations/run/instant", body), 401, "unauthorized")


def test_a_batch_of_requests(alice: Caller) -> None:
    requests = [{"provider": "openai", "model": "gpt-4o", "prompt": "Hello", "tokens": 15, "latency": 100,
                 "options": {"enforceModel": True}}] * 2  # fmt: skip
    answer = alice.post("/api/integrations/batch", {"requests": requests})
    assert answer.status_code == 200
    assert [item["status"] for item in answer.json["results"]] == [200, 200]


def test_whether_routing_is_on(alice: Caller) -> None:
    assert alice.json("/api/quality/routing")["enabled"] is True
    assert alice.post("/api/quality/routing", {"enabled": False}).json["enabled"] is False
    assert alice.json("/api/quality/routing")["enabled"] is False
    decision = alice.post("/api/quality/routing", {"prompt": "Hi", "options": {}}).json["routingDecision"]
    assert decision["selectedModel"] == decision["originalModel"]


def test_a_routing_decision(alice: Caller) -> None:
    options = {"enforceModel": False, "qualityThreshold": 0.8, "maxCost": 0.01, "strategy": "balanced"}
    found = alice.post("/api/quality/routing", {"prompt": "Translate this", "options": options}).json["routingDecision"]
    for name in ("selectedModel", "provider", "originalModel", "reasoning"):
        assert isinstance(found[name], str)
        assert found[name]
    assert 0 <= found["confidence"] <= 1
    assert is_number(found["estimatedCost"])
    assert found["qualityScore"] is None  # no run has shown anything yet


@pytest.mark.parametrize(
    "preferences", [None, {"maxCost": 0.01, "minQuality": 0.8, "maxLatency": 2000, "urgency": "low"}]
)
def test_a_routing_decision_with_context(alice: Caller, preferences: Any) -> None:
    run = {"provider": "openai", "model": "gpt-4o", "inputTokens": 100, "outputTokens": 20, "latency": 800}
    alice.post("/integrations/batch", {"runs": [run] * 30})
    body = {"prompt": "Write a function that sorts a list"} | ({"preferences": preferences} if preferences else {})
    answer = alice.post("/api/routing/context-aware", body).json
    assert answer["success"] is True
    found = answer["routingDecision"]
    assert (found["selectedModel"], found["provider"]) == ("gpt-4o", "openai")
    assert all(is_number(found[name]) for name in ("confidence", "expectedCost", "expectedQuality", "expectedLatency"))
    assert found["contextFactors"].keys() == {"promptComplexity", "taskType", "qualityRequirement", "urgency"}
    assert found["contextFactors"]["taskType"] == "code"


def test_providers(alice: Caller) -> None:
    """A bare list goes in, `configs` comes out."""
    config = [{"provider": "openai", "model": "gpt-4o", "weight": 70, "minQuality": 0.8, "enforceModel": False,
               "routingStrategy": "balanced", "apiKeyEncrypted": "…", "enabled": True}]  # fmt: skip
    assert alice.post("/api/providers/config", config).json["success"] is True
    (kept,) = alice.json("/api/providers/config")["configs"]
    assert kept == {name: value for name, value in config[0].items() if name != "apiKeyEncrypted"}


def test_model_enforcement(alice: Caller) -> None:
    run = {"provider": "openai", "inputTokens": 100, "outputTokens": 20}
    alice.post("/integrations/batch", {"runs": [run | {"model": model} for model in ("gpt-4o", "gpt-4o-mini")] * 60})
    question = {"prompt": "Translate this", "model": "gpt-4o"}
    assert alice.post("/api/quality/routing", question).json["routingDecision"]["selectedModel"] == "gpt-4o-mini"
    assert alice.post("/api/routing/enforcement", {"enforceModel": True}).json["success"] is True
    assert alice.post("/api/quality/routing", question).json["routingDecision"]["selectedModel"] == "gpt-4o"


def test_quality_validation(alice: Caller) -> None:
    validator = {"threshold": 0.8, "enabled": True, "metrics": ["coherence", "relevance"]}
    assert alice.post("/api/routing/quality", {"qualityValidator": validator}).json["success"] is True
    score = alice.client.put("/api/routing/quality", headers=alice.headers, json={"response": "Paris is the capital."})
    found = score.json["qualityScore"]
    assert all(0 <= found[name] <= 1 for name in ("overall", "coherence", "completeness", "relevance"))
    assert found["passed"] is True
    empty = alice.client.put("/api/routing/quality", headers=alice.headers, json={"response": ""})
    assert empty.json["qualityScore"]["passed"] is False


def test_keys_of_providers(alice: Caller, charlie: Caller) -> None:
    assert (
        alice.post("/api/api-keys/providers", {"provider": "openai", "apiKey": "sk-abcdefgh1234"}).json["success"]
        is True
    )
    (key,) = alice.json("/api/api-keys/providers")["apiKeys"]
    assert {"id", "provider", "createdAt", "lastUsedAt"} <= key.keys()
    assert (key["provider"], key["lastFour"], key["lastUsedAt"]) == ("openai", "1234", None)
    assert charlie.json("/api/api-keys/providers")["apiKeys"] == []


@pytest.mark.parametrize("kind", ["forecast", "alerts", "recommendations"])
def test_predictions(alice: Caller, kind: str) -> None:
    run = {"provider": "openai", "inputTokens": 2_000_000, "outputTokens": 1000, "model": "gpt-4o"}
    alice.post("/integrations/batch", {"runs": [run, run | {"model": "gpt-unheard-of"}] * 5})
    alice.post("/integrations/batch", {"runs": [run | {"model": "gpt-4o-mini"}] * 60})
    answer = alice.json(f"/api/cost/predictive?type={kind}")
    for day in answer["forecast"]["daily"]:
        assert day.keys() >= {"date", "predictedCost", "confidence", "factors"}
        assert day["factors"].keys() == {"requestVolume", "avgCostPerRequest", "seasonalAdjustment"}
    (alert,) = (one for one in answer["alerts"] if one["type"] == "pricing")
    wanted = {"id", "type", "severity", "message", "currentSpend", "threshold", "createdAt", "resolved"}
    assert alert.keys() >= wanted | {"level"}
    assert is_number(answer["potentialSavings"])
    for one in answer["recommendations"]:
        if kind == "recommendations":
            assert one.keys() == {"type", "description", "estimatedSavings", "confidence"}
        else:
            assert isinstance(one, str)
    assert answer["potentialSavings"] > 0


def test_a_prompt_is_made_shorter(alice: Caller) -> None:
    answer = alice.post(
        "/api/prompts/optimize", {"prompt": "Could you please   summarize this?\n\n\n\nThank you!"}
    ).json
    assert answer["optimized"] == "summarize this?"
    assert answer["originalTokens"] - answer["optimizedTokens"] == answer["tokensSaved"] > 0
    assert is_number(answer["tokenReduction"])
    assert is_number(answer["costSaved"])
    for kept in ("", "Hi", "```\n  please  \n```"):
        assert alice.post("/api/prompts/optimize", {"prompt": kept}).json["optimized"] == kept


def test_the_cache_is_off_until_it_is_turned_on(alice: Caller) -> None:
    question = {"provider": "openai", "model": "gpt-4o", "messages": MESSAGES}
    assert alice.post("/api/cache/get", question).json == {"hit": False}
    kept = alice.post("/api/cache/set", question | {"response": COMPLETION, "tokens": 15, "cost": 0.0001, "ttl": 3600})
    assert (kept.status_code, kept.json["stored"]) == (200, False)


def test_feedback(alice: Caller) -> None:
    run = alice.post("/integrations/run", {"provider": "openai", "model": "gpt-4o", "tokensUsed": 5}).json["run"]["id"]
    assert alice.post("/api/quality/feedback", {"runId": run, "rating": 4, "feedback": "Good"}).json == {
        "success": True
    }
    choice = {"originalModel": "gpt-4", "selectedModel": "gpt-4o", "qualityRating": 5, "wasHelpful": True}
    assert alice.post("/api/quality/feedback", choice).json == {"success": True}
    (provider,) = alice.json("/dashboard/stats")["data"]["providerStats"]
    assert provider["qualityScore"] == (0.75 + 1) / 2
    error_of(alice.post("/api/quality/feedback", {"runId": "run_0000000000000", "rating": 4}), 404, "not_found")


def test_list_prices_need_no_key(nobody: Caller) -> None:
    answer = nobody.json("/api/pricing/scrape?provider=openai")
    prices = {row["model"]: row for row in answer["pricing"]}
    assert answer["success"] is True
    assert (prices["gpt-4o"]["input"], prices["gpt-4o"]["output"]) == (2.5, 10)


def test_a_key_that_is_not_valid(nobody: Caller) -> None:
    """Wrappers turn themselves off by the status and let the call go on."""
    for path in ("/api/quality/routing", "/api/prompts/optimize", "/api/cache/get", "/integrations/run"):
        answer = nobody.get(path) if path.endswith("routing") else nobody.post(path, {})
        assert answer.status_code == 401
