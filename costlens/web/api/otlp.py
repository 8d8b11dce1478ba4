"""POST /v1/traces, /v1/logs and /v1/metrics: OTLP over HTTP, as stock exporters send it.

A request is answered after its runs are stored: 200 with `partialSuccess` for items that were refused, which exporters
do not send again, or 503, which they do. Runs have an identity, so what comes again is not stored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Blueprint, Response, request

from costlens.domain.errors import CostLensError, UnsupportedMedia
from costlens.domain.otel_agents import runs_of_events
from costlens.domain.otel_records import Event, Span
from costlens.domain.otel_spans import runs_of_spans
from costlens.domain.runs import RunInput
from costlens.services.ingest import Accepted, Result, give_way
from costlens.store.organizations import KeyRow
from costlens.web import otlp_json, otlp_protobuf
from costlens.web.answers import json_answer
from costlens.web.api.integrations import IMPORT_PART, store_runs, within
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.limits import charge_batch, month_of, warning
from costlens.web.payload import json_body

PROTOBUF = "application/x-protobuf"
REASONS_TOLD = 3

Record = TypeVar("Record", Span, Event)


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says beside 200."""

    rejected: int
    message: str  # empty: all went well


def blueprint() -> Blueprint:
    """The routes of OTLP."""
    routes = Blueprint("otlp", __name__)
    routes.post("/v1/traces")(take_traces)
    routes.post("/v1/logs")(take_logs)
    routes.post("/v1/metrics")(take_metrics)
    return routes


def take_traces() -> Response:
    """Stores a run for each span that is a call of a model."""
    key, body, packed = _begin()
    told = _take(key, otlp_protobuf.read_spans(body) if packed else otlp_json.read_spans(body), runs_of_spans)
    if packed:
        return _protobuf(otlp_protobuf.write_spans_answer(told.rejected, told.message))
    return _json("rejectedSpans", told)


def take_logs() -> Response:
    """Stores a run for each event in which a coding agent tells of a call of a model."""
    key, body, packed = _begin()
    told = _take(key, otlp_protobuf.read_events(body) if packed else otlp_json.read_events(body), runs_of_events)
    if packed:
        return _protobuf(otlp_protobuf.write_events_answer(told.rejected, told.message))
    return _json("rejectedLogRecords", told)


def take_metrics() -> Response:
    """Accepts metrics and keeps nothing of them: they are sums of calls that events and spans tell of one by one."""
    _, body, packed = _begin()
    if packed:
        otlp_protobuf.read_metrics(body)
        return _protobuf(b"")
    otlp_json.read_metrics(body)
    return json_answer({})


def _begin() -> tuple[KeyRow, bytes, bool]:
    """The key, the unpacked body, and whether it is protobuf. Raises UnsupportedMedia and what a key may lack."""
    key = require_key("ingest")
    if request.mimetype not in ("application/json", PROTOBUF):
        raise UnsupportedMedia(f"Send the body as application/json or {PROTOBUF}")
    return key, json_body(PROTOBUF), request.mimetype == PROTOBUF


def _take(
    key: KeyRow,
    records: Sequence[Record | CostLensError],
    runs_of: Callable[[Sequence[Record]], list[RunInput | CostLensError]],
) -> Told:
    """Stores what these records tell, in parts; a later part that fails is made good when all is sent again."""
    unread: list[CostLensError] = [one for one in records if isinstance(one, CostLensError)]
    items: list[RunInput | CostLensError] = [
        *unread,
        *runs_of([one for one in records if not isinstance(one, CostLensError)]),
    ]
    if not items:
        return Told(0, "")
    charge_batch(key)
    month = month_of(key)
    if month is not None:  # no limit of a batch's size: exporters choose it, and do not split what was refused
        items = within(month, items)
    results: list[Result] = []
    for start in range(0, len(items), IMPORT_PART):
        give_way(context().store)
        results += store_runs(key, items[start : start + IMPORT_PART]).results
    told = _told(results)
    warned = warning(month and month.after(sum(isinstance(one, Accepted) and one.new for one in results)))
    return Told(told.rejected, told.message or (warned["message"] if warned else ""))


def _told(results: Sequence[Result]) -> Told:
    reasons = [one.message for one in results if isinstance(one, CostLensError)]
    if not reasons:
        return Told(0, "")
    first = "; ".join(list(dict.fromkeys(reasons))[:REASONS_TOLD])
    return Told(len(reasons), f"{len(reasons)} not stored: {first}")


def _json(name: str, told: Told) -> Response:
    # 64-bit numbers are text in protobuf's JSON.
    answer: dict[str, Any] = {name: str(told.rejected), "errorMessage": told.message}
    return json_answer({"partialSuccess": answer} if told.message else {})


def _protobuf(body: bytes) -> Response:
    return Response(body, mimetype=PROTOBUF)
