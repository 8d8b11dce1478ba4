"""Runs from spans: the GenAI semantic conventions, old and new, and OpenInference.

Sources: https://opentelemetry.io/docs/specs/semconv/gen-ai/ and https://arize-ai.github.io/openinference/spec/.
Both count cached tokens within the input tokens, and reasoning within the output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costlens.domain.errors import CostLensError, InvalidInput
from costlens.domain.otel_agents import claude_code_span
from costlens.domain.otel_records import (
    MOST_LATENCY_MS,
    Attributes,
    Span,
    evidence,
    instant,
    provider_name,
    text,
    whole,
)
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, from_native

INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
CACHE_READ = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached", "llm.token_count.prompt_details.cache_read",
)  # fmt: skip
CACHE_WRITE = (
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens", "gen_ai.usage.input_tokens.cache_write",
    "llm.token_count.prompt_details.cache_write",
)  # fmt: skip
REASONING = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
    "llm.token_count.completion_details.reasoning",
)  # fmt: skip
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")

# What stands around calls of models and repeats their sum, or is none.
_AROUND = frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "retrieval", "plan"})
_AROUND_KINDS = frozenset(
    {"agent", "chain", "tool", "retriever", "reranker", "guardrail", "evaluator", "workflow", "task"}
)
_CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})


def runs_of_spans(spans: Sequence[Span]) -> list[RunInput | CostLensError]:
    """A run for each call of a model among these spans, an error for each that cannot be one; others make none.

    A span whose descendant here tells of tokens repeats them and makes none; of failed calls the innermost counts.
    """
    calls = [span for span in spans if _is_call(span)]
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    around_usage = _ancestors([span for span in calls if _has_usage(span)], by_id)
    around_any = _ancestors(calls, by_id)
    found: list[RunInput | CostLensError] = []
    for span in calls:
        if (span.trace_id, span.span_id) in (around_usage if _has_usage(span) else around_any):
            continue
        try:
            run = claude_code_span(span) if _is_claude_code(span) else _run(span)
        except CostLensError as error:
            found.append(error)
        else:
            if run is not None:
                found.append(run)
    return found


def _is_call(span: Span) -> bool:
    attributes = span.attributes
    if _is_claude_code(span):
        return span.name == "claude_code.llm_request"
    if str(attributes.get("service.name", "")).startswith("codex"):
        return False  # its events tell of the same calls
    operation = attributes.get("gen_ai.operation.name")
    kind = str(attributes.get("openinference.span.kind") or attributes.get("traceloop.span.kind") or "").lower()
    if operation in _AROUND or kind in _AROUND_KINDS:
        return False
    return _has_usage(span) or (span.failed and (operation in _CALLS or kind in ("llm", "embedding")))


def _is_claude_code(span: Span) -> bool:
    return span.name.startswith("claude_code.")


def _has_usage(span: Span) -> bool:
    if _is_claude_code(span):
        return "input_tokens" in span.attributes or "output_tokens" in span.attributes
    return any(name in span.attributes for name in (*INPUT, *OUTPUT))


def _ancestors(spans: Sequence[Span], by_id: Mapping[tuple[str, str], Span]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for span in spans:
        above = (span.trace_id, span.parent_id)
        while above in by_id and above not in found:  # a circle ends where it was found before
            found.add(above)
            above = (span.trace_id, by_id[above].parent_id)
    return found


def _run(span: Span) -> RunInput:
    attributes = span.attributes
    model = text(attributes, *MODEL)
    provider = text(attributes, *PROVIDER, longest=100)
    if model is None or provider is None:
        missing = MODEL[0] if model is None else PROVIDER[0]
        raise InvalidInput(f"The span tells of tokens but not {missing}", field=missing)
    took = (span.end_nanos - span.start_nanos) // 10**6 if span.start_nanos else -1
    return RunInput(
        provider=provider_name(provider),
        model=model,
        usage=_usage(attributes),
        occurred_at=instant(span.end_nanos or span.start_nanos),
        success=not span.failed,
        latency_ms=took if 0 <= took <= MOST_LATENCY_MS else None,
        request_id=span_identity(span),
        correlation_id=span.trace_id,
        model_requested=text(attributes, "gen_ai.request.model"),
        error_type=(text(attributes, "error.type") or _words(span.message)) if span.failed else None,
        service_tier=_lower(
            text(attributes, "openai.response.service_tier", "gen_ai.openai.response.service_tier", longest=100)
        ),
        **evidence(attributes),
    )


def span_identity(span: Span) -> str:
    """The same whenever an exporter sends the span again. Raises InvalidInput for ids that are none."""
    for name, value, length in (("traceId", span.trace_id, 32), ("spanId", span.span_id, 16)):
        if len(value) != length or not set(value) <= set("0123456789abcdef") or not value.strip("0"):
            raise InvalidInput(f"{name} must be {length} hex digits, not all 0", field=name)
    return f"{span.trace_id}-{span.span_id}"


def _usage(attributes: Attributes) -> Usage:
    given = {
        "prompt_tokens": whole(attributes, *INPUT),
        "completion_tokens": whole(attributes, *OUTPUT),
        "prompt_tokens_details": {
            "cached_tokens": whole(attributes, *CACHE_READ),
            "cache_write_tokens": whole(attributes, *CACHE_WRITE),
        },
        "completion_tokens_details": {"reasoning_tokens": whole(attributes, *REASONING)},
    }
    if given["prompt_tokens"] is None and given["completion_tokens"] is None:
        return Usage()  # it failed before there were any
    # No provider is named: here none counts reasoning or cached tokens apart.
    return from_native("", given)


def _words(message: str) -> str | None:
    return message.replace("\0", "").strip()[:200].rstrip() or None


def _lower(found: str | None) -> str | None:
    return found.lower() if found else None
