"""OTLP's protobuf, read and answered with the messages of `opentelemetry-proto`, which load with the first request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from costlens.domain.errors import InvalidInput
from costlens.domain.otel_records import Event, Span, Value

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

_ERROR = 2  # of a span's status
_LONGEST_NAME = 200
_PLAIN = frozenset({"string_value", "bool_value", "int_value", "double_value"})


def read_spans(body: bytes) -> list[Span]:
    """The spans of a request. Raises InvalidInput."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    _parse(request, body)
    found = []
    for group in request.resource_spans:
        shared = _attributes(group.resource.attributes)
        for span in (span for scope in group.scope_spans for span in scope.spans):
            found.append(
                Span(
                    name=span.name[:_LONGEST_NAME],
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    start_nanos=span.start_time_unix_nano,
                    end_nanos=span.end_time_unix_nano,
                    failed=span.status.code == _ERROR,
                    message=span.status.message,
                    attributes=shared | _attributes(span.attributes),
                )
            )
    return found


def read_events(body: bytes) -> list[Event]:
    """The log records of a request. Raises InvalidInput."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    _parse(request, body)
    found = []
    for group in request.resource_logs:
        shared = _attributes(group.resource.attributes)
        for record in (record for scope in group.scope_logs for record in scope.log_records):
            found.append(
                Event(
                    name=record.event_name[:_LONGEST_NAME],
                    body=record.body.string_value[:_LONGEST_NAME],
                    at_nanos=record.time_unix_nano or record.observed_time_unix_nano,
                    attributes=shared | _attributes(record.attributes),
                )
            )
    return found


def read_metrics(body: bytes) -> None:
    """Raises InvalidInput for what is no request with metrics."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    _parse(ExportMetricsServiceRequest(), body)


def write_spans_answer(rejected: int, message: str) -> bytes:
    """The answer to spans; empty when there is nothing to tell."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    if message:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


def write_events_answer(rejected: int, message: str) -> bytes:
    """The answer to log records; empty when there is nothing to tell."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    answer = ExportLogsServiceResponse()
    if message:
        answer.partial_success.rejected_log_records = rejected
        answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


def _parse(request: Message, body: bytes) -> None:
    from google.protobuf.message import DecodeError

    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise InvalidInput("The body is not the protobuf message that this route takes") from error


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        if kind in _PLAIN:  # lists, maps and bytes are passed over
            found[pair.key] = getattr(pair.value, kind)
    return found
