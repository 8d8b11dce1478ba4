"""OTLP over HTTP: stock exporters on a real socket, both encodings, retries, and items that are refused."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import delete, select
from werkzeug.test import TestResponse

from costlens.services.organizations import set_organization
from costlens.store import engine
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.web.ui.snippets import first_run_snippets
from tests.databases import only_sqlite
from tests.e2e.browsers import served
from tests.web.caller import Caller, error_of, stored

PROTOBUF = "application/x-protobuf"
RESOURCE = Resource(
    {"service.name": "claude-code", "vcs.repository.url.full": "https://github.com/acme/api", "vcs.ref.head.name": "x"}
)
CHAT = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5.4",
    "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 400, "gen_ai.usage.output_tokens": 50,
    "gen_ai.request.temperature": 0.5, "gen_ai.request.stop_sequences": ["a", "b"], "gen_ai.request.stream": True,
}  # fmt: skip
REQUEST = {
    "event.name": "api_request", "model": "claude-sonnet-4-5", "input_tokens": 12, "output_tokens": 300,
    "cache_read_tokens": 45000, "cache_creation_tokens": 100, "cost_usd": 0.0183, "duration_ms": 2100,
    "session.id": "s-1", "user.email": "alice@example.com", "event.sequence": 3,
}  # fmt: skip
METRICS = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "claude_code.cost.usage"}]}]}]}


def rows(store: Store) -> list[dict[str, Any]]:
    with store.read() as tx:
        return [dict(row) for row in tx.execute(select(t.runs).order_by(t.runs.c.request_id)).mappings()]


def make_spans(provider: TracerProvider) -> None:
    """An agent around two calls, of which one fails; the agent repeats their sum."""
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("invoke_agent", attributes=CHAT | {"gen_ai.operation.name": "invoke_agent"}):
        with tracer.start_as_current_span("chat gpt-5.4", attributes=CHAT):
            pass
        with pytest.raises(TimeoutError), tracer.start_as_current_span("chat gpt-5.4", attributes=CHAT):
            raise TimeoutError("too late")


def make_logs(provider: LoggerProvider, *records: dict[str, Any]) -> None:
    logger = provider.get_logger("com.anthropic.claude_code.events")
    for place, attributes in enumerate(records or (REQUEST,)):
        body = f"claude_code.{attributes['event.name']}"
        at = 1_764_000_000_000_000_000 + place
        logger.emit(LogRecord(timestamp=at, observed_timestamp=at, body=body, attributes=attributes))


def some_spans() -> Sequence[ReadableSpan]:
    kept, provider = InMemorySpanExporter(), TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    make_spans(provider)
    return kept.get_finished_spans()


def some_logs(*records: dict[str, Any]) -> Sequence[ReadableLogRecord]:
    kept, provider = InMemoryLogRecordExporter(), LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    make_logs(provider, *records)
    return kept.get_finished_logs()


def otlp_json(message: Message) -> Any:
    """A message in OTLP's JSON: protobuf's, but with ids in hex."""

    def hexed(value: Any) -> Any:
        if isinstance(value, list):
            return [hexed(one) for one in value]
        if not isinstance(value, dict):
            return value
        ids = ("traceId", "spanId", "parentSpanId")
        return {k: base64.b64decode(v).hex() if k in ids else hexed(v) for k, v in value.items()}

    return hexed(MessageToDict(message))


def post(caller: Caller, path: str, body: bytes, kind: str = PROTOBUF, **headers: str) -> TestResponse:
    return caller.client.post(path, headers=caller.headers | headers, data=body, content_type=kind)


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    with served(app) as address:
        yield address


def test_stock_exporters(url: str, store: Store, alice_key: str) -> None:
    """Packed protobuf from the SDK's own exporters: calls are runs, priced and attributed, metrics are accepted."""
    given: dict[str, Any] = {"headers": {"Authorization": f"Bearer {alice_key}"}, "timeout": 10}
    traces = TracerProvider(resource=RESOURCE)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces", **given)))
    make_spans(traces)
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{url}/api/v1/logs", **given)))
    make_logs(logs)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics", **given))
    meters = MeterProvider(metric_readers=[reader])
    meters.get_meter("test").create_counter("claude_code.token.usage").add(45000)
    assert traces.force_flush()
    assert logs.force_flush()
    assert meters.force_flush()
    for provider in (traces, logs, meters):
        provider.shutdown()

    found = {(run["provider"], run["success"]): run for run in rows(store)}
    assert found.keys() == {("openai", True), ("openai", False), ("anthropic", True)}
    call, event = found["openai", True], found["anthropic", True]
    assert (call["input_uncached"], call["cache_read"], call["output_text"]) == (600, 400, 50)
    assert found["openai", False]["error_type"] == "TimeoutError: too late"
    assert (event["input_uncached"], event["cache_read"], event["cost_nanos"]) == (12, 45000, 18_300_000)
    assert event["session_id"] == "s-1"
    for run in found.values():
        assert (run["source"], run["branch"], run["tool"]) == ("otlp", "x", "claude-code")
        assert run["cost_nanos"] > 0
        assert run["repository_id"]
        assert run["person_id"]


# What Claude Code does with its settings: the exporter takes address and key from the environment.
AGENT = """
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
told = {"model": "claude-sonnet-4-5", "input_tokens": 12, "output_tokens": 300}
logs.get_logger("agent").emit(LogRecord(timestamp=1764 * 10**15, body="claude_code.api_request", attributes=told))
logs.shutdown()
"""


@only_sqlite
@pytest.mark.parametrize("known", [True, False], ids=["key", "environment"])
def test_the_snippet_for_claude_code(url: str, store: Store, alice_key: str, tmp_path: Path, known: bool) -> None:
    agent = tmp_path / "claude"
    agent.write_text(f"#!{sys.executable}\n{AGENT}")
    agent.chmod(0o755)
    made = first_run_snippets(url, alice_key if known else None)
    text = next(each.text for each in made if each.name == "claude-code")
    path = f"{tmp_path}:{os.environ['PATH']}"
    env = dict(os.environ) | {"COSTLENS_API_KEY": alice_key, "no_proxy": "*", "PATH": path}
    subprocess.run(["sh", "-c", text], env=env, check=True, timeout=60)
    assert [(run["model"], run["output_text"]) for run in rows(store)] == [("claude-sonnet-4-5", 300)]


def test_json_and_protobuf_are_the_same_run(store: Store, alice: Caller) -> None:
    """Each request is sent in both encodings; what was stored of the one is what would be stored of the other."""
    kept: dict[str, list[dict[str, Any]]] = {}
    spans, logs = encode_spans(some_spans()), encode_logs(some_logs())
    for kind in ("application/json", PROTOBUF):
        for path, message in (("/v1/traces", spans), ("/v1/logs", logs)):
            packed = message.SerializeToString() if kind == PROTOBUF else json.dumps(otlp_json(message)).encode()
            answer = post(alice, path, packed, kind)
            assert answer.status_code == 200, answer.text
            assert answer.mimetype == kind
            assert answer.data == (b"{}" if kind == "application/json" else b"")
        kept[kind] = rows(store)
        with store.write() as tx:
            tx.execute(delete(t.run_keys))
            tx.execute(delete(t.runs))
    first, second = (
        [{name: value for name, value in run.items() if name not in ("id", "received_at")} for run in runs]
        for runs in kept.values()
    )
    assert len(first) == 3
    assert first == second


def test_sent_again_it_is_stored_once(store: Store, alice: Caller, charlie: Caller) -> None:
    spans = encode_spans(some_spans())
    logs = gzip.compress(encode_logs(some_logs(REQUEST, REQUEST | {"event.sequence": 4})).SerializeToString())
    for _ in range(2):
        assert post(alice, "/v1/traces", spans.SerializeToString()).status_code == 200
        assert post(alice, "/v1/traces", json.dumps(otlp_json(spans)).encode(), "application/json").status_code == 200
        assert post(alice, "/v1/logs", logs, **{"Content-Encoding": "gzip"}).status_code == 200
    assert stored(store)["runs"] == 4
    assert len(alice.json("/runs")["runs"]) == 4
    # Another organization sees none of it, and the same ids are its own runs there.
    assert charlie.json("/runs")["runs"] == []
    assert post(charlie, "/v1/traces", spans.SerializeToString()).status_code == 200
    assert stored(store)["runs"] == 6


def test_refused_items_do_not_cost_the_others(store: Store, alice: Caller) -> None:
    records = (REQUEST, REQUEST | {"model": ""}, REQUEST | {"input_tokens": -1}, REQUEST | {"event.name": "other"})
    logs = encode_logs(some_logs(*records))
    answer = post(alice, "/v1/logs", logs.SerializeToString())
    told = ExportLogsServiceResponse.FromString(answer.data).partial_success
    assert told.rejected_log_records == 2
    assert told.error_message.startswith("2 not stored: ")
    assert stored(store)["runs"] == 1

    spans = otlp_json(encode_spans(some_spans()))
    calls = spans["resourceSpans"][0]["scopeSpans"][0]["spans"]
    calls[:0] = [5, {"traceId": 7}, {"endTimeUnixNano": "soon"}, calls[0] | {"spanId": "short"}]
    answer = alice.post("/v1/traces", spans)
    assert answer.status_code == 200
    assert answer.json["partialSuccess"]["rejectedSpans"] == "4"
    assert stored(store)["runs"] == 3

    again = encode_spans(some_spans())
    again.resource_spans[0].scope_spans[0].spans[0].span_id = b"short"
    told = ExportTraceServiceResponse.FromString(post(alice, "/v1/traces", again.SerializeToString()).data)
    assert told.partial_success.rejected_spans == 1
    assert "spanId" in told.partial_success.error_message


@only_sqlite
@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_bodies_that_cannot_be_read(store: Store, alice: Caller, signal: str) -> None:
    path = f"/v1/{signal}"
    name = {"traces": "resourceSpans", "logs": "resourceLogs", "metrics": "resourceMetrics"}[signal]
    error_of(alice.post(path, "{"), 400, "malformed_json")
    assert error_of(alice.post(path, {name: 5}), 400, "invalid_input")["field"] == name
    error_of(post(alice, path, b"\xff\xff\xff"), 400, "invalid_input")
    error_of(post(alice, path, b"no gzip", **{"Content-Encoding": "gzip"}), 400, "invalid_input")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/grpc"):
        error_of(post(alice, path, b"{}", kind), 415, "unsupported_media_type")
    assert stored(store)["runs"] == 0


@only_sqlite
def test_what_makes_no_runs_is_accepted(store: Store, alice: Caller) -> None:
    assert alice.post("/v1/metrics", METRICS).json == {}
    assert alice.post("/v1/logs", {}).json == {}
    answer = post(alice, "/v1/traces", b"")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, b"", PROTOBUF)
    assert stored(store)["runs"] == 0


@only_sqlite
def test_a_limited_plan(store: Store, alice: Caller) -> None:
    """What is past the month's runs is refused, as in a batch; when all are used nothing is read any more."""
    set_organization(store, "Acme", {"plan": "free"})
    many = encode_logs(some_logs(*[REQUEST | {"event.sequence": place} for place in range(1_001)]))
    answer = post(alice, "/v1/logs", many.SerializeToString())
    told = ExportLogsServiceResponse.FromString(answer.data).partial_success
    assert told.rejected_log_records == 1
    assert "Payment Required" in told.error_message
    assert stored(store)["runs"] == 1_000
    error_of(post(alice, "/v1/logs", many.SerializeToString()), 402, "payment_required")


@only_sqlite
def test_a_store_that_is_busy(store: Store, alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters send again what is answered with 503, and then it is stored."""
    body = encode_logs(some_logs()).SerializeToString()
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with store.write():
        busy = post(alice, "/v1/logs", body)
    assert int(busy.headers["Retry-After"]) == error_of(busy, 503, "unavailable")["retryAfter"]
    assert stored(store)["runs"] == 0
    assert post(alice, "/v1/logs", body).data == b""
    assert stored(store)["runs"] == 1
