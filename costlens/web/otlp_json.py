"""OTLP's JSON: protobuf's mapping, but with ids in hex, and 64-bit numbers as text or as numbers.

Records are decoded one by one, so a bad one fails alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from costlens.domain.errors import CostLensError, InvalidInput
from costlens.domain.otel_records import Event, Span, Value
from costlens.web.api.bodies import decode

_ERROR = 2  # of a span's status
_LONGEST_NAME = 200
Number = int | str  # 64 bits

T = TypeVar("T")


class AnyValue(msgspec.Struct, rename="camel"):
    """A value of an attribute; lists, maps and bytes are passed over."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number | None = None
    double_value: float | int | str | None = None


class KeyValue(msgspec.Struct):
    key: str
    value: AnyValue | None = None


class Resource(msgspec.Struct):
    attributes: list[KeyValue] = []


class ScopeSpans(msgspec.Struct, rename="camel"):
    spans: list[msgspec.Raw] = []


class ResourceSpans(msgspec.Struct, rename="camel"):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] = []


class TracesRequest(msgspec.Struct, rename="camel"):
    """ExportTraceServiceRequest."""

    resource_spans: list[ResourceSpans] = []


class ScopeLogs(msgspec.Struct, rename="camel"):
    log_records: list[msgspec.Raw] = []


class ResourceLogs(msgspec.Struct, rename="camel"):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] = []


class LogsRequest(msgspec.Struct, rename="camel"):
    """ExportLogsServiceRequest."""

    resource_logs: list[ResourceLogs] = []


class MetricsRequest(msgspec.Struct, rename="camel"):
    """ExportMetricsServiceRequest, of which nothing is kept."""

    resource_metrics: list[msgspec.Raw] = []


class _Status(msgspec.Struct):
    code: int | str = 0
    message: str = ""


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: Number = 0
    end_time_unix_nano: Number = 0
    attributes: list[KeyValue] = []
    status: _Status | None = None


class _LogRecord(msgspec.Struct, rename="camel"):
    time_unix_nano: Number = 0
    observed_time_unix_nano: Number = 0
    event_name: str = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] = []


def read_spans(body: bytes) -> list[Span | CostLensError]:
    """The spans of a request, an error for each that cannot be read. Raises InvalidInput for the envelope."""
    found: list[Span | CostLensError] = []
    for group in decode(body, TracesRequest).resource_spans:
        shared = _attributes(group.resource.attributes) if group.resource else {}
        for scope in group.scope_spans:
            for raw in scope.spans:
                try:
                    found.append(_span(decode(bytes(raw), _Span), shared))
                except CostLensError as error:
                    found.append(error)
    return found


def read_events(body: bytes) -> list[Event | CostLensError]:
    """The log records of a request, an error for each that cannot be read. Raises InvalidInput for the envelope."""
    found: list[Event | CostLensError] = []
    for group in decode(body, LogsRequest).resource_logs:
        shared = _attributes(group.resource.attributes) if group.resource else {}
        for scope in group.scope_logs:
            for raw in scope.log_records:
                try:
                    found.append(_event(decode(bytes(raw), _LogRecord), shared))
                except CostLensError as error:
                    found.append(error)
    return found


def read_metrics(body: bytes) -> None:
    """Raises InvalidInput for what is no request with metrics."""
    decode(body, MetricsRequest)


def _span(told: _Span, shared: dict[str, Value]) -> Span:
    status = told.status or _Status()
    return Span(
        name=told.name[:_LONGEST_NAME],
        trace_id=told.trace_id.lower(),
        span_id=told.span_id.lower(),
        parent_id=told.parent_span_id.lower(),
        start_nanos=_number(told.start_time_unix_nano),
        end_nanos=_number(told.end_time_unix_nano),
        failed=status.code in (_ERROR, "STATUS_CODE_ERROR"),
        message=status.message,
        attributes=shared | _attributes(told.attributes),
    )


def _event(told: _LogRecord, shared: dict[str, Value]) -> Event:
    body = told.body.string_value if told.body else None
    return Event(
        name=told.event_name[:_LONGEST_NAME],
        body=(body or "")[:_LONGEST_NAME],
        at_nanos=_number(told.time_unix_nano) or _number(told.observed_time_unix_nano),
        attributes=shared | _attributes(told.attributes),
    )


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    values = ((pair.key, _value(pair.value)) for pair in pairs if pair.value is not None)
    return {key: value for key, value in values if value is not None}


def _value(told: AnyValue) -> Value | None:
    if told.string_value is not None:
        return told.string_value
    if told.bool_value is not None:
        return told.bool_value
    if told.int_value is not None:
        return _number(told.int_value)
    if told.double_value is None:
        return None
    try:
        return float(told.double_value)  # NaN and Infinity come as text
    except (ValueError, OverflowError) as error:
        raise InvalidInput("doubleValue must be a number", field="doubleValue") from error


def _number(told: Number) -> int:
    """A 64-bit number. Raises InvalidInput."""
    try:
        found = int(told) if not isinstance(told, str) or len(told) <= 20 else None
    except ValueError:
        found = None
    if found is None or not -(1 << 63) <= found < 1 << 64:
        raise InvalidInput("A 64-bit number is needed, not another or text")
    return found
