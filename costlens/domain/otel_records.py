"""What OpenTelemetry tells of one call of a model, whatever it was encoded as, and how its attributes are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.errors import InvalidInput
from costlens.domain.names import repository_name
from costlens.domain.runs import is_code
from costlens.domain.usage_dialects import check_count

Value = str | int | float | bool
Attributes = Mapping[str, Value]

SOURCE = "otlp"
MOST_LATENCY_MS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 200  # characters of a name
_DIGITS = 20  # of a whole number that came as text

# The conventions' names for providers, where they are not those of the price list.
_PROVIDERS = {
    "aws.bedrock": "aws", "bedrock": "aws", "amazon_bedrock": "aws", "azure.ai.openai": "azure",
    "azure.ai.inference": "azure", "az.ai.openai": "azure", "az.ai.inference": "azure", "azure_openai": "azure",
    "gcp.gemini": "google", "gcp.gen_ai": "google", "gcp.vertex_ai": "google", "gemini": "google",
    "google_genai": "google", "vertex_ai": "google", "vertexai": "google", "x_ai": "x-ai", "xai": "x-ai",
    "mistral_ai": "mistral", "mistralai": "mistral",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span; attributes of its resource are among its own, which win."""

    name: str
    trace_id: str  # 32 hex digits, lower case, if it is right
    span_id: str  # 16 hex digits, likewise
    parent_id: str  # empty: a root
    start_nanos: int  # since 1970; 0: not told
    end_nanos: int
    failed: bool  # its status is an error
    message: str  # of its status
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Event:
    """A log record; attributes of its resource are among its own, which win."""

    name: str  # the record's event name, empty: it has none
    body: str  # its text, for tools that put the event's name there; empty: no text
    at_nanos: int  # since 1970; 0: not told
    attributes: Attributes


def text(attributes: Attributes, *names: str, longest: int = _LONGEST) -> str | None:
    """The first of these attributes that holds some text, cut to `longest` characters, without NUL."""
    for name in names:
        value = attributes.get(name)
        if value is None or isinstance(value, bool):
            continue
        found = str(value).replace("\0", "").strip()[:longest].rstrip()
        if found:
            return found
    return None


def whole(attributes: Attributes, *names: str) -> int | None:
    """The first of these attributes that is there, as a token count; digits may come as text.

    Raises InvalidInput naming the attribute when it is no whole number of 0 to 10^12.
    """
    for name in names:
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return check_count(value, name)
    return None


def milliseconds(attributes: Attributes, name: str) -> int | None:
    """A duration in milliseconds. None: it is not told, or nothing that a call can take."""
    try:
        value = float(attributes.get(name, ""))
    except ValueError:
        return None
    return round(value) if 0 <= value <= MOST_LATENCY_MS else None


def instant(nanos: int) -> datetime:
    """Nanoseconds since 1970 as a time in UTC and whole milliseconds. Raises InvalidInput when it is not told."""
    if not 0 < nanos < 1 << 64:
        raise InvalidInput("The record does not tell when it was")
    return _EPOCH + timedelta(milliseconds=nanos // 10**6)


def provider_name(told: str) -> str:
    """A provider as the price list names it, in lower case."""
    name = told.lower()
    return _PROVIDERS.get(name, name)


def evidence(attributes: Attributes) -> dict[str, Any]:
    """What both signals tell of who made a call and for which code, as fields of RunInput.

    What cannot be used is left out: the cost of a call is worth more than a branch that is no branch. People are read
    for development only; `user.id` of an application in production is one of its own users.
    """
    environment = text(attributes, "deployment.environment.name", "deployment.environment")
    environment = environment.lower() if environment else None
    return {
        "source": SOURCE,
        "environment": environment,
        "actor": _actor(attributes) if is_code(environment) else None,
        "tool": _tool(attributes),
        "prompt_id": text(attributes, "costlens.prompt_id", "gen_ai.prompt.name"),
        "session_id": text(attributes, "session.id", "gen_ai.conversation.id", "conversation.id"),
        "repository": _repository(text(attributes, "vcs.repository.url.full", longest=500)),
        "branch": text(attributes, "vcs.ref.head.name", "vcs.repository.ref.name", longest=500),
        "commit_sha": _sha(text(attributes, "vcs.ref.head.revision", "vcs.repository.ref.revision")),
        "pr_number": _number(text(attributes, "vcs.change.id", "vcs.repository.change.id")),
    }


def _actor(attributes: Attributes) -> str | None:
    return text(attributes, "user.email", "user.id")


def _tool(attributes: Attributes) -> str | None:
    name = text(attributes, "service.name")
    # What an SDK says whose user named no service.
    return None if name is None or name.startswith("unknown_service") else name


def _repository(url: str | None) -> str | None:
    try:
        return repository_name(url) if url else None
    except InvalidInput:
        return None


def _sha(revision: str | None) -> str | None:
    if revision is None or not 7 <= len(revision) <= 64:
        return None
    lower = revision.lower()
    return lower if set(lower) <= set("0123456789abcdef") else None


def _number(change: str | None) -> int | None:
    if change is None or not (change.isascii() and change.isdigit()) or len(change) > _DIGITS:
        return None
    number = int(change)
    return number if 1 <= number < 1 << 31 else None
