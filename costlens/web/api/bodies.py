"""The bodies that callers send, and the one place where they are validated.

A body is decoded to typed structs; what is right in JSON but wrong for us becomes InvalidInput naming the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec

from costlens.domain.errors import CostLensError, InvalidInput, TooLarge
from costlens.domain.names import repository_name
from costlens.domain.pricing import parse_usd
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, from_fields, from_native

MAX_FILES = 50
MAX_TAGS = 50

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=500)]
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Path = re.compile(r" - at `\$\.?([^`]*)`")
_Escapes = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)

_Nul = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

T = TypeVar("T")
Ratio = Callable[[str, str], float | None]  # provider, model → usual share of input tokens


class RunBody(msgspec.Struct, rename="camel"):
    """One run as POST /integrations/run takes it; unknown fields are ignored."""

    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    model: _Name
    input: Any = None
    output: Any = None
    tokens_used: _Tokens | None = None
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    cache_read_tokens: _Tokens | None = None
    cache_write_tokens: _Tokens | None = None
    cache_write_1h_tokens: _Tokens | None = msgspec.field(default=None, name="cacheWrite1hTokens")
    reasoning_tokens: _Tokens | None = None
    usage: dict[str, Any] | None = None
    latency: Annotated[float, msgspec.Meta(ge=0, le=10**9)] | None = None
    success: bool | None = None
    prompt_id: _Text | None = None
    id: _Name | None = None
    request_id: _Name | None = None
    correlation_id: _Name | None = None
    timestamp: datetime | None = None
    requested_model: _Name | None = None
    cost: float | int | None = None
    savings: float | int | None = None
    error: str | None = None
    session_id: _Text | None = None
    repo: _Text | None = None
    branch: _Text | None = None
    commit_sha: _Text | None = None
    commit_role: _Text | None = None
    pr_number: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)] | None = None
    files: list[str] | None = None
    actor: _Text | None = None
    tags: dict[str, Any] | list[Any] | None = None
    environment: _Text | None = None
    tool: _Text | None = None
    service_tier: _Text | None = None
    processing: _Text | None = None
    metadata: dict[str, Any] | None = None


# What may stand in `metadata` instead of beside it.
_IN_METADATA = (
    "repo", "branch", "commitSha", "commitRole", "prNumber", "sessionId", "files", "actor", "tags", "environment",
    "tool", "promptId",
)  # fmt: skip


class BatchRun(RunBody, rename="camel"):
    """One run of a batch, where tokensUsed and input have other names too."""

    tokens: Any = None
    prompt: Any = None


class RunBatch(msgspec.Struct):
    runs: list[BatchRun]


class RequestBatch(msgspec.Struct):
    requests: list[BatchRun]


ANY_BATCH = (RunBatch, RequestBatch)  # what a batch may be, for its description


class BatchBody(msgspec.Struct):
    """The envelope of POST /integrations/batch; items are decoded one by one, so a bad one fails alone."""

    runs: list[msgspec.Raw] | None = None
    requests: list[msgspec.Raw] | None = None


def decode(body: bytes, kind: type[T]) -> T:
    """A typed body. Raises InvalidInput naming the field."""
    try:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # A text cut in the middle of an emoji leaves half a pair, which JSON allows and UTF-8 does not. The run
            # is worth more than that character.
            return msgspec.json.decode(_Escapes.sub(lambda found: found[1] or rb"\ufffd", body), type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise invalid(error) from error


def decode_stored(body: bytes, kind: type[T]) -> T:
    """The same for a body whose texts are stored. Raises InvalidInput for a NUL too, which PostgreSQL cannot store."""
    found = decode(body, kind)
    if _Nul.search(body):
        raise InvalidInput("The body must not hold a NUL character")
    return found


def convert(value: Any, kind: type[T]) -> T:
    """A typed value of decoded JSON. Raises InvalidInput naming the field."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid(error) from error


def invalid(error: Exception) -> InvalidInput:
    """Our error for one of msgspec's."""
    if isinstance(error, RecursionError):
        return InvalidInput("The JSON is nested too deeply")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return InvalidInput(f"The body is not valid JSON: {text}", code="malformed_json")
    path = _Path.search(text)
    message = _Path.sub("", text).replace("`", "")
    if path and path[1]:
        return InvalidInput(f"{path[1]}: {message}", field=path[1])
    missing = re.search(r"required field (\w+)", message)
    return InvalidInput(message, field=missing[1] if missing else None)


# Most bodies are right as they are. What these refuse is read again field by field, to say what is wrong with it.
_run_decoder = msgspec.json.Decoder(RunBody)
_batch_decoder = msgspec.json.Decoder(RunBatch)


def read_run(body: bytes, ratio: Ratio) -> RunInput:
    """A run from the bytes of one JSON object. Raises InvalidInput."""
    try:
        found = _run_decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _run(_body(_object(body)), ratio)
    return _run(_body(_object(body)) if found.metadata else found, ratio)


def read_batch(body: bytes, limit: int, ratio: Ratio) -> list[RunInput | CostLensError]:
    """One run or one error an item, in order. Raises InvalidInput for the envelope, TooLarge past `limit` items."""
    try:
        found = _batch_decoder.decode(body).runs
        if len(found) <= limit and all(_complete(item) for item in found):
            return [_good_item(item, ratio) for item in found]
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        pass
    envelope = decode(body, BatchBody)
    items = envelope.runs if envelope.runs is not None else envelope.requests
    if items is None:
        raise InvalidInput("A batch needs `runs`, a list of runs", field="runs")
    if len(items) > limit:
        raise TooLarge(
            f"A batch holds at most {limit} runs, this one {len(items)}; nothing was stored",
            code="batch_too_large",
            field="runs",
        )
    return [_item(item, ratio) for item in items]


def read_lines(body: bytes, limit: int | None, ratio: Ratio) -> list[RunInput | CostLensError]:
    """One run or one error a line of newline-delimited JSON; empty lines are left out. Raises TooLarge past `limit`."""
    lines = [line for line in body.splitlines() if line.strip()]
    if limit is not None and len(lines) > limit:
        raise TooLarge(
            f"The plan takes at most {limit} runs at once, this one {len(lines)}; nothing was stored",
            code="batch_too_large",
        )
    return [_item(line, ratio) for line in lines]


def _object(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object. Raises InvalidInput, which names the field of a number that no type holds."""
    try:
        return decode(body, dict[str, Any])
    except InvalidInput as error:
        if error.field is None:
            raise
        for name, value in decode(body, dict[str, msgspec.Raw]).items():
            try:
                decode(bytes(value), object)
            except InvalidInput as found:
                message = found.message.rpartition(": ")[2]
                raise InvalidInput(f"{name[:100]}: {message}", field=name[:100]) from error
        raise


def _item(item: msgspec.Raw | bytes, ratio: Ratio) -> RunInput | CostLensError:
    try:
        raw = _object(bytes(item))
        for other, name in (("tokens", "tokensUsed"), ("prompt", "input")):
            if other in raw:
                raw.setdefault(name, raw[other])
        return _run(_body(raw), ratio)
    except CostLensError as error:
        return error


def _complete(body: BatchRun) -> bool:
    """Whether each value stands in its own field."""
    return not body.metadata and body.tokens is None and body.prompt is None


def _good_item(body: BatchRun, ratio: Ratio) -> RunInput | CostLensError:
    try:
        return _run(body, ratio)
    except CostLensError as error:
        return error


def _body(raw: dict[str, Any]) -> RunBody:
    """A typed run, with what stands in `metadata` in its place. Raises InvalidInput naming the field."""
    metadata = raw.get("metadata")
    if isinstance(metadata, dict):
        for name in _IN_METADATA:
            if raw.get(name) is None and name in metadata:
                raw[name] = metadata[name]
    return convert(raw, RunBody)


def _run(body: RunBody, ratio: Ratio) -> RunInput:
    provider = _clean(body.provider, "provider").lower()
    model = _clean(body.model, "model")
    occurred = body.timestamp or datetime.now(UTC)
    return RunInput(
        provider=provider,
        model=model,
        usage=_usage(body, provider, model, ratio),
        occurred_at=_instant(occurred),
        success=True if body.success is None else body.success,
        latency_ms=None if body.latency is None else round(body.latency),
        client_id=_optional(body.id, "id"),
        request_id=_optional(body.request_id, "requestId"),
        correlation_id=_optional(body.correlation_id, "correlationId"),
        session_id=_optional(body.session_id, "sessionId"),
        prompt_id=_optional(body.prompt_id, "promptId"),
        model_requested=_optional(body.requested_model, "requestedModel"),
        error_type=_optional(body.error[:200] if body.error else None, "error"),
        actor=_optional(body.actor, "actor"),
        repository=repository_name(body.repo) if body.repo else None,
        branch=_optional(body.branch, "branch"),
        commit_sha=_sha(body.commit_sha),
        commit_role=_role(body.commit_role),
        pr_number=body.pr_number,
        files=_files(body.files),
        environment=_lower(_optional(body.environment, "environment")),
        tool=_optional(body.tool, "tool"),
        tags=_tags(body.tags),
        service_tier=_lower(_optional(body.service_tier, "serviceTier")),
        processing=_lower(_optional(body.processing, "processing")),
        reported_cost_nanos=None if body.cost is None else parse_usd(body.cost),
        input_chars=_length(body.input),
        output_chars=_length(body.output),
    )


def _usage(body: RunBody, provider: str, model: str, ratio: Ratio) -> Usage:
    if body.usage:
        return from_native(provider, body.usage)
    given = (body.tokens_used, body.input_tokens, body.output_tokens, body.cache_read_tokens, body.cache_write_tokens)
    if all(value is None for value in given):
        raise InvalidInput("A run needs tokensUsed, inputTokens and outputTokens, or usage", field="tokensUsed")
    only_total = all(value is None for value in given[1:])
    texts = _length(body.input) or _length(body.output)
    return from_fields(
        provider,
        input_tokens=body.input_tokens,
        output_tokens=body.output_tokens,
        cache_read_tokens=body.cache_read_tokens,
        cache_write_tokens=body.cache_write_tokens,
        cache_write_1h_tokens=body.cache_write_1h_tokens,
        reasoning_tokens=body.reasoning_tokens,
        tokens_used=body.tokens_used,
        input_chars=_length(body.input),
        output_chars=_length(body.output),
        model_ratio=ratio(provider, model) if only_total and not texts else None,
    )


def _length(value: Any) -> int | None:
    """Characters of a text, or of the JSON of something else. None: not sent."""
    if value is None:
        return None
    return len(value) if isinstance(value, str) else len(msgspec.json.encode(value))


def _clean(text: str, field: str) -> str:
    """Without surrounding space. Raises InvalidInput when empty or with a NUL, which PostgreSQL cannot store."""
    found = text.strip()
    if not found:
        raise InvalidInput(f"{field} must not be empty", field=field)
    if "\0" in found:
        raise InvalidInput(f"{field} must not hold a NUL character", field=field)
    return found


def _optional(text: str | None, field: str) -> str | None:
    """None for an empty text: callers send `""` for what they do not know."""
    return _clean(text, field) if text and not text.isspace() else None


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _instant(at: datetime) -> datetime:
    """In UTC and whole milliseconds; a time without an offset is taken as UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        utc = aware.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput("timestamp is out of range", field="timestamp") from error
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _sha(text: str | None) -> str | None:
    sha = _optional(text, "commitSha")
    if sha is not None and not re.fullmatch(r"[0-9a-fA-F]{7,64}", sha):
        raise InvalidInput("commitSha must be 7 to 64 hexadecimal digits", field="commitSha")
    return sha.lower() if sha else None


def _role(text: str | None) -> str | None:
    role = _optional(text, "commitRole")
    if role not in (None, "result", "head_before"):
        raise InvalidInput("commitRole must be result or head_before", field="commitRole")
    return role


def _files(files: Sequence[str] | None) -> tuple[str, ...]:
    if not files:
        return ()
    if len(files) > MAX_FILES:
        raise InvalidInput(f"files holds at most {MAX_FILES} paths", field="files")
    return tuple(_clean(path[:500], "files") for path in files)


def _tags(tags: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, str] | None:
    """Tags as text; a list of names becomes names without a value."""
    if not tags:
        return None
    pairs = tags.items() if isinstance(tags, Mapping) else [(name, "") for name in tags]
    if len(pairs) > MAX_TAGS:
        raise InvalidInput(f"tags holds at most {MAX_TAGS}", field="tags")
    found: dict[str, str] = {}
    for name, value in pairs:
        if not isinstance(name, str) or isinstance(value, dict | list):
            raise InvalidInput("tags must be names with plain values", field="tags")
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if "\0" in name or "\0" in text:
            raise InvalidInput("tags must not hold a NUL character", field="tags")
        found[name[:100]] = text[:500]
    return found
