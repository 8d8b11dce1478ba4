"""Runs from OpenTelemetry: which spans and events are calls, and what is read of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from costlens.domain.errors import CostLensError, InvalidInput
from costlens.domain.otel_agents import runs_of_events
from costlens.domain.otel_records import Event, Span, Value
from costlens.domain.otel_spans import runs_of_spans
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality

TRACE = "5b8efff798038103d269b633813fc60c"
START = 1_764_000_000_000_000_000
CHAT: dict[str, Value] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
}


def span(number: int = 1, parent: int = 0, attributes: dict[str, Value] = CHAT, **more: Any) -> Span:
    made = Span("chat", TRACE, f"{number:016x}", f"{parent:016x}" if parent else "", START, START + 1_200_400_000,
                False, "", attributes)  # fmt: skip
    return replace(made, **more)


def event(name: str, **attributes: Value) -> Event:
    told = {key.replace("__", "."): value for key, value in attributes.items()}
    return Event("", name, START, {"service.name": "claude-code", **told})


def one(found: list[RunInput | CostLensError]) -> RunInput:
    (run,) = found
    assert isinstance(run, RunInput), run
    return run


def refused(found: list[RunInput | CostLensError]) -> str:
    (error,) = found
    assert isinstance(error, InvalidInput)
    return error.message


def test_a_span_by_the_conventions_of_now() -> None:
    told = CHAT | {
        "gen_ai.provider.name": "aws.bedrock", "gen_ai.response.model": "claude-sonnet-4-5-20250929",
        "gen_ai.usage.cache_read.input_tokens": 700, "gen_ai.usage.cache_creation.input_tokens": 200,
        "gen_ai.usage.reasoning.output_tokens": 20, "costlens.prompt_id": "review-v2", "gen_ai.prompt.name": "other",
        "vcs.repository.url.full": "https://github.com/acme/api.git", "vcs.ref.head.name": "feature/x",
        "vcs.ref.head.revision": "9D59409ACF479DFA0DF1AA568182E43E43DF8BBE", "vcs.change.id": "12",
        "session.id": "s-1", "user.email": "alice@example.com", "user.id": "7", "service.name": "bot",
        "deployment.environment.name": "Development",
    }  # fmt: skip
    run = one(runs_of_spans([span(attributes=told)]))
    assert (run.provider, run.model, run.model_requested) == ("aws", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5")
    # Of 1,000 input tokens 900 are cached, whoever the provider is.
    assert run.usage == Usage(100, 700, 200, 0, 30, 20)
    assert (run.latency_ms, run.success, run.source) == (1200, True, "otlp")
    assert run.occurred_at.isoformat() == "2025-11-24T16:00:01.200000+00:00"
    assert (run.repository, run.branch, run.pr_number) == ("acme/api", "feature/x", 12)
    assert run.commit_sha == "9d59409acf479dfa0df1aa568182e43e43df8bbe"
    assert (run.prompt_id, run.session_id, run.actor) == ("review-v2", "s-1", "alice@example.com")
    assert (run.tool, run.environment) == ("bot", "development")
    assert run.request_id == f"{TRACE}-0000000000000001"


@pytest.mark.parametrize(
    ("told", "provider", "usage"),
    [
        (
            {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": "4",
             "gen_ai.request.model": "gpt-5.4", "gen_ai.usage.cache_read_input_tokens": 6},
            "openai", Usage(4, 6, output_text=4),
        ),
        (
            {"llm.provider": "google", "llm.model_name": "gemini-2.5-pro", "llm.token_count.prompt": 10,
             "llm.token_count.completion": 4, "llm.token_count.prompt_details.cache_read": 3,
             "llm.token_count.prompt_details.cache_write": 2, "openinference.span.kind": "LLM"},
            "google", Usage(5, 3, 2, output_text=4),
        ),
        # xAI's own API counts reasoning apart; the conventions do not.
        (
            CHAT | {"gen_ai.provider.name": "x_ai", "gen_ai.usage.reasoning.output_tokens": 10},
            "x-ai", Usage(1000, output_text=40, output_reasoning=10),
        ),
        (
            {"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.usage.output_tokens": 4},
            "openai", Usage(output_text=4, quality=UsageQuality.MISSING),
        ),
    ],
    ids=["old names", "openinference", "reasoning", "no input"],
)  # fmt: skip
def test_other_names(told: dict[str, Value], provider: str, usage: Usage) -> None:
    run = one(runs_of_spans([span(attributes=told)]))
    assert (run.provider, run.usage) == (provider, usage)


def test_only_the_innermost_span_with_tokens_counts() -> None:
    """A parent, its parent without tokens, and one whose parent is in another request."""
    tree = [
        span(1, attributes=CHAT), span(2, 1, {"http.method": "POST"}), span(3, 2), span(4, 1), span(5, 99),
        span(3, 1, trace_id="1" * 32),
    ]  # fmt: skip
    ids = [run.request_id for run in runs_of_spans(tree) if isinstance(run, RunInput)]
    assert ids == [f"{TRACE}-{number:016x}" for number in (3, 4, 5)] + [f"{'1' * 32}-{3:016x}"]
    circle = [span(1, 2), span(2, 1)]
    assert len(runs_of_spans(circle)) < 2


@pytest.mark.parametrize(
    "told",
    [
        CHAT | {"gen_ai.operation.name": "invoke_agent"},
        CHAT | {"gen_ai.operation.name": "execute_tool"},
        CHAT | {"openinference.span.kind": "CHAIN"},
        CHAT | {"traceloop.span.kind": "workflow"},
        CHAT | {"service.name": "codex_cli_rs"},
        {"http.method": "GET"},
    ],
)
def test_what_is_no_call(told: dict[str, Value]) -> None:
    assert runs_of_spans([span(attributes=told)]) == []


def test_failed_calls() -> None:
    without = {key: value for key, value in CHAT.items() if "usage" not in key}
    failed = span(2, 1, without | {"error.type": "rate_limit"}, failed=True)
    run = one(runs_of_spans([failed]))
    assert (run.success, run.error_type, run.usage) == (False, "rate_limit", Usage())
    # The attempt failed, the call around it did not and has the tokens; of two that failed the inner one counts.
    assert len(runs_of_spans([span(1), failed])) == 2
    assert len(runs_of_spans([span(1, 0, without, failed=True, message="oh"), failed])) == 1
    assert runs_of_spans([span(attributes=without)]) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (span(attributes=CHAT | {"gen_ai.usage.input_tokens": -1}), "negative"),
        (span(attributes=CHAT | {"gen_ai.usage.input_tokens": "many"}), "whole number"),
        (span(attributes=CHAT | {"gen_ai.usage.cache_read.input_tokens": 1001}), "must not exceed"),
        (span(attributes={"gen_ai.system": "openai", "gen_ai.usage.input_tokens": 1}), "gen_ai.response.model"),
        (span(span_id="0" * 16), "spanId"),
        (span(trace_id="xyz"), "traceId"),
        (span(start_nanos=0, end_nanos=0), "when"),
    ],
)
def test_calls_that_cannot_be_runs(bad: Span, words: str) -> None:
    assert words in refused(runs_of_spans([bad]))


def test_evidence_that_is_none_is_left_out() -> None:
    told = CHAT | {
        "vcs.repository.url.full": "..", "vcs.ref.head.revision": "main", "vcs.change.id": "I8473b95934",
        "service.name": "unknown_service:python", "session.id": "a\0b", "user.id": "7",
        "deployment.environment.name": "production", "vcs.ref.head.name": " ",
    }  # fmt: skip
    run = one(runs_of_spans([span(attributes=told)]))
    assert (run.repository, run.commit_sha, run.pr_number, run.tool, run.branch) == (None,) * 5
    assert run.session_id == "ab"
    assert run.actor is None  # one of the application's own users


REQUEST: dict[str, Value] = {
    "model": "claude-sonnet-4-5", "input_tokens": "12", "output_tokens": 300, "cache_read_tokens": 45000,
    "cache_creation_tokens": 100, "cost_usd": "0.0183", "duration_ms": "2100", "session__id": "s-1",
    "user__email": "alice@example.com", "user__id": "device", "prompt__id": "p-1", "event__sequence": 3,
}  # fmt: skip


def test_claude_code() -> None:
    run = one(runs_of_events([event("claude_code.api_request", request_id="req_1", **REQUEST)]))
    assert (run.provider, run.model, run.request_id) == ("anthropic", "claude-sonnet-4-5", "req_1")
    assert run.usage == Usage(12, 45000, 100, 0, 300)
    assert (run.latency_ms, run.reported_cost_nanos, run.actor) == (2100, 18_300_000, "alice@example.com")
    assert (run.session_id, run.correlation_id, run.prompt_id, run.tool) == ("s-1", "p-1", None, "claude-code")


def test_claude_code_s_names_of_an_event() -> None:
    by_attribute = replace(event("", event__name="api_request", **REQUEST), body="")
    assert one(runs_of_events([by_attribute])).usage.output == 300
    by_name = replace(by_attribute, name="claude_code.api_request", attributes=dict(by_attribute.attributes))
    assert one(runs_of_events([by_name])).usage.output == 300
    foreign = replace(by_attribute, attributes={**by_attribute.attributes, "service.name": "shop"})
    assert runs_of_events([foreign, event("claude_code.tool_result", **REQUEST), event("hello", **REQUEST)]) == []


def test_claude_code_without_a_cache_counts_nothing_twice() -> None:
    run = one(runs_of_events([event("claude_code.api_request", model="m", input_tokens=5, output_tokens=1)]))
    assert run.usage == Usage(5, output_text=1)
    assert run.reported_cost_nanos is None


def test_an_event_without_an_id_is_known_by_what_it_says() -> None:
    first, again = (one(runs_of_events([event("claude_code.api_request", **REQUEST)])) for _ in range(2))
    other = one(runs_of_events([event("claude_code.api_request", **REQUEST | {"event__sequence": 4})]))
    assert first.request_id == again.request_id != other.request_id


def test_claude_code_s_failures() -> None:
    told = event("claude_code.api_error", model="claude-sonnet-4-5", error="Overloaded", request_id="req_1")
    run = one(runs_of_events([told]))
    assert (run.success, run.error_type, run.usage) == (False, "Overloaded", Usage())
    assert run.request_id != "req_1"


def test_claude_code_s_span_is_the_call_that_its_event_tells_of() -> None:
    told = {key.replace("__", "."): value for key, value in REQUEST.items()} | {"request_id": "req_1"}
    from_span = one(runs_of_spans([span(attributes=told, name="claude_code.llm_request")]))
    from_event = one(runs_of_events([event("claude_code.api_request", request_id="req_1", **REQUEST)]))
    assert (from_span.request_id, from_span.usage) == (from_event.request_id, from_event.usage)
    nameless = {key: value for key, value in told.items() if key != "request_id"}
    assert runs_of_spans([span(attributes=nameless, name="claude_code.llm_request")]) == []
    assert runs_of_spans([span(attributes=told, name="claude_code.interaction")]) == []


def test_codex() -> None:
    told: dict[str, Value] = {
        "event__name": "codex.sse_event", "event__kind": "response.completed", "model": "gpt-5.4-codex",
        "input_token_count": "1000", "cached_token_count": 800, "output_token_count": 50, "reasoning_token_count": 30,
        "conversation__id": "c-1", "service__name": "codex_cli_rs", "user__email": "bob@example.com",
    }  # fmt: skip
    run = one(runs_of_events([event("", **told)]))
    assert (run.provider, run.model, run.session_id) == ("openai", "gpt-5.4-codex", "c-1")
    assert run.usage == Usage(200, 800, output_text=20, output_reasoning=30)
    assert (run.tool, run.actor) == ("codex_cli_rs", "bob@example.com")
    assert runs_of_events([event("", **told | {"event__kind": "response.created"})]) == []
    del told["model"]
    assert "model" in refused(runs_of_events([event("", **told)]))
