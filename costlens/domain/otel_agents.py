"""Runs from what coding agents tell: events of Claude Code and Codex, and Claude Code's spans.

Sources: https://code.claude.com/docs/en/monitoring-usage and Codex's documentation of `[otel]`. Claude Code counts
cached tokens beside the input tokens, Codex within them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from costlens.domain.errors import CostLensError, InvalidInput
from costlens.domain.otel_records import Attributes, Event, Span, evidence, instant, milliseconds, text, whole
from costlens.domain.pricing import parse_usd
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, from_native

_BARE = frozenset({"api_request", "api_error"})  # how Claude Code's attribute names its events


def runs_of_events(events: Sequence[Event]) -> list[RunInput | CostLensError]:
    """A run for each event that tells of a call of a model, an error for each that cannot be one; others make none."""
    found: list[RunInput | CostLensError] = []
    for event in events:
        name = event_name(event)
        read = _READ.get(name)
        if read is None or (name == "codex.sse_event" and event.attributes.get("event.kind") != "response.completed"):
            continue
        try:
            found.append(read(event))
        except CostLensError as error:
            found.append(error)
    return found


def event_name(event: Event) -> str:
    """`claude_code.api_request` and the like, wherever the tool puts it; what is not an agent's is empty."""
    bare = str(event.attributes.get("event.name", ""))
    for name in (event.name, event.body, bare):
        if name.startswith(("claude_code.", "codex.")):
            return name
    return f"claude_code.{bare}" if bare in _BARE and event.attributes.get("service.name") == "claude-code" else ""


def claude_code_span(span: Span) -> RunInput | None:
    """A run from `claude_code.llm_request`, the same as from the event of that call. None: nothing says which it is."""
    request_id = text(span.attributes, "request_id")
    if request_id is None:
        return None
    failed = span.failed or span.attributes.get("success") in (False, "false")
    return _claude_code(span.attributes, span.end_nanos or span.start_nanos, request_id, failed=failed)


def _request(event: Event) -> RunInput:
    request_id = text(event.attributes, "request_id") or _fingerprint(event)
    return _claude_code(event.attributes, event.at_nanos, request_id)


def _failure(event: Event) -> RunInput:
    # An attempt that failed has its own identity: a later one of the same request may have tokens.
    return _claude_code(event.attributes, event.at_nanos, _fingerprint(event), failed=True)


def _claude_code(attributes: Attributes, at_nanos: int, request_id: str, *, failed: bool = False) -> RunInput:
    told: dict[str, object] = {
        "input_tokens": whole(attributes, "input_tokens"),
        "output_tokens": whole(attributes, "output_tokens"),
        # 0 where it is not told: without a count of cached tokens the object would read as another provider's.
        "cache_read_input_tokens": whole(attributes, "cache_read_tokens") or 0,
        "cache_creation_input_tokens": whole(attributes, "cache_creation_tokens") or 0,
    }
    nothing = told["input_tokens"] is None and told["output_tokens"] is None
    if nothing and not failed:
        raise InvalidInput("The event tells of no tokens", field="input_tokens")
    return RunInput(
        provider="anthropic",
        model=_model(attributes),
        usage=Usage() if nothing else from_native("anthropic", told),
        occurred_at=instant(at_nanos),
        success=not failed,
        latency_ms=milliseconds(attributes, "duration_ms"),
        request_id=request_id,
        correlation_id=text(attributes, "prompt.id"),
        error_type=text(attributes, "error", "error.type", "status_code") if failed else None,
        reported_cost_nanos=_cost(attributes),
        **_of_a_person(attributes),
    )


def _codex(event: Event) -> RunInput:
    attributes = event.attributes
    told = {
        "input_tokens": whole(attributes, "input_token_count"),
        "output_tokens": whole(attributes, "output_token_count"),
        "input_tokens_details": {"cached_tokens": whole(attributes, "cached_token_count")},
        "output_tokens_details": {"reasoning_tokens": whole(attributes, "reasoning_token_count")},
    }
    if told["input_tokens"] is None and told["output_tokens"] is None:
        raise InvalidInput("The event tells of no tokens", field="input_token_count")
    return RunInput(
        provider="openai",
        model=_model(attributes),
        usage=from_native("openai", told),
        occurred_at=instant(event.at_nanos),
        request_id=_fingerprint(event),
        **_of_a_person(attributes),
    )


_READ: dict[str, Callable[[Event], RunInput]] = {
    "claude_code.api_request": _request,
    "claude_code.api_error": _failure,
    "codex.sse_event": _codex,
}


def _model(attributes: Attributes) -> str:
    found = text(attributes, "model")
    if found is None:
        raise InvalidInput("The event names no model", field="model")
    return found


def _cost(attributes: Attributes) -> int | None:
    """What the tool says that the call cost, in nano-dollars. None: it does not know either."""
    told = attributes.get("cost_usd")
    try:
        nanos = None if told is None else parse_usd(told)
    except InvalidInput:
        return None
    return nanos or None


def _of_a_person(attributes: Attributes) -> dict[str, Any]:
    """The evidence of an agent's call: its `user.id` names an installation, nobody that a commit could name."""
    found = evidence(attributes)
    if found["actor"] is not None:
        found["actor"] = text(attributes, "user.email")
    return found


def _fingerprint(event: Event) -> str:
    """What an event is known by that brings no id: all it says, so that sent again it is the same."""
    said = repr((event_name(event), event.at_nanos, sorted(event.attributes.items())))
    return f"otlp-{hashlib.sha256(said.encode()).hexdigest()[:32]}"
