"""POST /integrations/run and /integrations/batch: runs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from flask import Blueprint, Response

from costlens.domain.errors import CostLensError
from costlens.domain.runs import RunInput, show_id
from costlens.domain.shown import dollars
from costlens.services import usage as usage_service
from costlens.services.ingest import Accepted, Ingested, Result, call_of, entering, give_way, ingest, record
from costlens.services.usage import PlanUsage
from costlens.store.organizations import KeyRow
from costlens.web.answers import json_answer
from costlens.web.api.bodies import Ratio, read_batch, read_lines, read_run
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.errors import STATUS
from costlens.web.idempotency import identity
from costlens.web.limits import charge_batch, month_of, used_up, warning
from costlens.web.payload import NDJSON, json_body

IMPORT_PART = 500  # lines a transaction: short enough that single runs never wait long
ERRORS_TOLD = 1_000


def blueprint() -> Blueprint:
    """The routes that take runs."""
    routes = Blueprint("integrations", __name__)
    routes.post("/integrations/run")(track_run)
    routes.post("/integrations/run/instant")(track_instant)
    routes.post("/integrations/batch")(track_batch)
    routes.post("/integrations/import")(import_runs)
    return routes


def track_run() -> Response:
    """Stores one run; answers after it is stored."""
    key = require_key("ingest")
    month = month_of(key)
    body, store = json_body(), context().store
    with entering(store):
        call = call_of(key, _named([read_run(body, _ratio(key))]))
    result = _linked_soon(key, record(store, call)).results[0]
    if isinstance(result, CostLensError):
        raise result
    answer: dict[str, Any] = {"success": True, "run": run_answer(result)}
    if warned := warning(month and month.after(int(result.new))):
        answer["warning"] = warned
    return json_answer(answer)


def track_instant() -> Response:
    """The same for wrappers in their instant mode. It needs a key all the same, as every run belongs to somebody."""
    answer = track_run()
    body = msgspec.json.decode(answer.data)
    body["analyticsUrl"] = f"{context().settings.base_url}/"
    return json_answer(body)


def track_batch() -> Response:
    """Stores the good items of a batch: 200 when all are good, 207 when some are not."""
    key = require_key("ingest")
    charge_batch(key)
    month = month_of(key)
    give_way(context().store)
    items = read_batch(json_body(), context().settings.plan(key.organization.plan).batch_size, _ratio(key))
    if month is not None:
        items = within(month, items)
    return batch_answer(store_runs(key, _named(items)).results, month)


def import_runs() -> Response:
    """Stores newline-delimited JSON, one run a line, in parts; as a whole it may be larger than a batch.

    Parts that were stored stay when a later one fails: with a requestId each, or an Idempotency-Key, send it again.
    """
    key = require_key("ingest")
    charge_batch(key)
    month = month_of(key)
    plan = context().settings.plan(key.organization.plan)
    items = read_lines(json_body(*NDJSON), None if month is None else plan.batch_size, _ratio(key))
    if month is not None:
        items = within(month, items)
    named = _named(items)
    results: list[Result] = []
    for start in range(0, len(named), IMPORT_PART):
        give_way(context().store)
        results += store_runs(key, named[start : start + IMPORT_PART]).results
    return json_answer(*_summary(results))


def _summary(results: Sequence[Result]) -> tuple[dict[str, Any], int]:
    """The batch object without its runs, and its status; errors are numbered by line from 0."""
    failed = [(line, one) for line, one in enumerate(results) if isinstance(one, CostLensError)]
    good = len(results) - len(failed)
    body = {
        "success": not failed or bool(good),
        "processed": good,
        "errors": len(failed),
        "new": sum(isinstance(one, Accepted) and one.new for one in results),
        "batchStats": _stats(len(results), good),
        "errorDetails": [_error_details(line, one) for line, one in failed[:ERRORS_TOLD]],
    }
    return body, 207 if failed else 200


def _stats(total: int, good: int) -> dict[str, Any]:
    return {
        "totalRuns": total,
        "successful": good,
        "failed": total - good,
        "successRate": round(100 * good / total, 2) if total else 100,
    }


def _error_details(index: int, error: CostLensError) -> dict[str, Any]:
    return {"index": index, "code": error.code, "message": error.message, "field": error.field}


def _named(items: list[RunInput | CostLensError]) -> list[RunInput | CostLensError]:
    """The same items; under an Idempotency-Key each has an identity, so none counts twice whatever is lost."""
    known_by = identity()
    if known_by is None:
        return items
    return [
        replace(item, client_id=f"{known_by} {place}")
        if isinstance(item, RunInput) and item.client_id is None and item.request_id is None
        else item
        for place, item in enumerate(items)
    ]


def within(month: PlanUsage, items: list[RunInput | CostLensError]) -> list[RunInput | CostLensError]:
    """The same items, with an error for each good one past the month's limit."""
    left, found = month.left or 0, []
    for item in items:
        good = isinstance(item, RunInput)
        found.append(used_up(month.after(month.left or 0)) if good and not left else item)
        left -= bool(good and left)
    return found


def _ratio(key: KeyRow) -> Ratio:
    return lambda provider, model: usage_service.input_share(context().store, key.organization.id, provider, model)


def store_runs(key: KeyRow, items: list[Any]) -> Ingested:
    """Stores the good items in one transaction and asks for their links. Raises Unavailable when nothing was stored."""
    return _linked_soon(key, ingest(context().store, key, items))


def _linked_soon(key: KeyRow, done: Ingested) -> Ingested:
    for repository_id in done.repositories:
        context().queue.link_soon(key.organization.id, repository_id)
    return done


def run_answer(accepted: Accepted) -> dict[str, Any]:
    """The seed's run object, with its cost. An id that the caller did not give is made from the run's own."""
    run = accepted.run
    return {
        "id": show_id("run", run["id"]),
        "requestId": run["request_id"] or show_id("req", run["id"]),
        "correlationId": run["correlation_id"] or show_id("corr", run["id"]),
        "provider": run["provider"],
        "model": run["model"],
        "success": run["success"],
        "cost": dollars(run["cost_nanos"]),
        "costStatus": run["cost_status"],
        "promptId": run["prompt_id"],
    }


def batch_answer(results: tuple[Result, ...], month: PlanUsage | None = None) -> Response:
    """The seed's batch object with one result an item: 200 when all are good, 207 when some are not."""
    shown = [run_answer(result) if isinstance(result, Accepted) else None for result in results]
    runs = [run for run in shown if run is not None]
    failed = len(results) - len(runs)
    body = {
        "success": not failed or bool(runs),
        "processed": len(runs),
        "errors": failed,
        "runs": runs,
        "batchStats": _stats(len(results), len(runs)),
        "results": [
            _item_answer(index, result, run) for index, (result, run) in enumerate(zip(results, shown, strict=True))
        ],
        "errorDetails": [
            _error_details(index, result) for index, result in enumerate(results) if isinstance(result, CostLensError)
        ],
    }
    if warned := warning(month and month.after(sum(isinstance(one, Accepted) and one.new for one in results))):
        body["warning"] = warned
    return json_answer(body, 207 if failed else 200)


def _item_answer(index: int, result: Result, run: dict[str, Any] | None) -> dict[str, Any]:
    if isinstance(result, Accepted) and run is not None:
        return {"index": index, "status": 200, "id": run["id"], "new": result.new}
    assert isinstance(result, CostLensError)
    return {"index": index, "status": STATUS[type(result)], "code": result.code}
