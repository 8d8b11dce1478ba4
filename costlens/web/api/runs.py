"""GET /runs, GET /runs/{id}, POST /runs/{id}/links and GET /links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response

from costlens.domain.linking import sentence
from costlens.domain.runs import read_id, show_id
from costlens.domain.shown import dollars, instant
from costlens.services import corrections
from costlens.services import runs as run_service
from costlens.services.corrections import MOST_PARTS
from costlens.services.exports import every_link, every_run
from costlens.services.runs import Page, RunDetails
from costlens.store.organizations import Organization
from costlens.store.runs import RunFilter
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.api.cursors import link_cursor, read_link_cursor, read_run_cursor, run_cursor
from costlens.web.api.exports import export_answer, export_form, export_limit
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body

_TOKENS = {
    "input_uncached": "inputUncached",
    "cache_read": "cacheRead",
    "cache_write_5m": "cacheWrite5m",
    "cache_write_1h": "cacheWrite1h",
    "output_text": "outputText",
    "output_reasoning": "outputReasoning",
}

# In CSV, where the token counts are columns of their own.
_RUN_COLUMNS = (
    "id",
    "requestId",
    "correlationId",
    "sessionId",
    "timestamp",
    "receivedAt",
    "source",
    "provider",
    "model",
    "requestedModel",
    "promptId",
    "environment",
    "tool",
    "tags",
    "team",
    "actor",
    "repo",
    "branch",
    "commitSha",
    "commitRole",
    "prNumber",
    *_TOKENS.values(),
    "tokensUsed",
    "usageQuality",
    "cost",
    "costStatus",
    "listCost",
    "reportedCost",
    "priceVersion",
    "success",
    "error",
    "latency",
    "linkState",
    "unlinkedReason",
    "linkedCost",
)
_LINK_COLUMNS = (
    "run",
    "requestId",
    "repo",
    "pullRequest",
    "title",
    "outcome",
    "commitSha",
    "rule",
    "confidence",
    "state",
    "cost",
    "share",
    "evidence",
    "sentence",
    "since",
)


def blueprint() -> Blueprint:
    """The routes of runs and their links."""
    routes = Blueprint("runs", __name__)
    routes.get("/runs")(list_runs)
    routes.get("/runs/<run_id>")(get_run)
    routes.post("/runs/<run_id>/links")(decide)
    routes.get("/links")(list_links)
    return routes


def list_runs() -> Response:
    """Runs, newest first: a page of them, or all as a file."""
    organization = require_key("read").organization
    read = partial(run_service.page_of_runs, context().store, organization, run_filter(organization))
    before = read_run_cursor(params.text("cursor"))
    if form := export_form():
        return runs_file(form, organization, every_run(read, limit=export_limit(), before=before))
    return json_answer(runs_answer(read(limit=params.number("limit", 100, 1, 1_000), before=before)))


def runs_answer(page: Page) -> dict[str, Any]:
    """A page of runs, and where the next begins."""
    return {
        "runs": [run_object(row) for row in page.rows],
        "nextCursor": run_cursor(page.rows[-1]) if page.more else None,
    }


def runs_file(form: str, organization: Organization, pages: Iterator[Sequence[Any]]) -> Response:
    """Runs page by page as a file."""
    shown = run_object if form == "ndjson" else _flat_run
    return export_answer(form, f"{organization.slug}-runs", _RUN_COLUMNS, (map(shown, rows) for rows in pages))


def run_filter(organization: Any) -> RunFilter:
    """The filters of the URL; without a period, any time."""
    filters = params.roi_filters(organization)
    dated = any(params.text(name) for name in ("startDate", "endDate", "days", "period"))
    since, until = run_service.bounds(params.period(organization)) if dated else (None, None)
    return RunFilter(
        since=since,
        until=until,
        provider=filters.provider,
        model=params.text("model"),
        prompt_id=params.text("promptId"),
        session_id=params.text("sessionId"),
        environment=_named("environment"),
        tool=_named("tool"),
        success=_yes_no("success"),
        team_id=filters.team_id,
        repository_id=filters.repository_id,
        state=params.choice("state", ("counted", "suggested", "pending", "unlinked", "not_code")),
        reason=params.choice("reason", ("no_repo", "no_person", "no_candidate", "rejected")),
        priced=_yes_no("priced"),
    )


def _named(name: str) -> str | None:
    """A filter by name; `none` asks for runs that name nothing."""
    value = params.text(name)
    return "" if value == "none" else value


def _yes_no(name: str) -> bool | None:
    value = params.choice(name, ("true", "false"))
    return None if value is None else value == "true"


def run_object(row: Any) -> dict[str, Any]:
    """A run as the API shows it. `cost` null: no price is known."""
    counts = row._mapping
    tokens = {name: counts[column] for column, name in _TOKENS.items()}
    return {
        "id": show_id("run", row.id),
        "requestId": row.request_id or show_id("req", row.id),
        "correlationId": row.correlation_id or show_id("corr", row.id),
        "sessionId": row.session_id,
        "timestamp": instant(row.occurred_at),
        "receivedAt": instant(row.received_at),
        "source": row.source,
        "provider": row.provider,
        "model": row.model,
        "requestedModel": row.model_requested,
        "promptId": row.prompt_id,
        "environment": row.environment,
        "tool": row.tool,
        "tags": row.tags,
        "team": row.team,
        "actor": row.actor,
        "repo": row.repository,
        "branch": row.branch,
        "commitSha": row.commit_sha,
        "commitRole": row.commit_role,
        "prNumber": row.pr_number,
        "tokens": tokens,
        "tokensUsed": sum(tokens.values()),
        "usageQuality": row.usage_quality,
        "cost": dollars(row.cost_nanos),
        "costStatus": row.cost_status,
        "listCost": dollars(row.list_cost_nanos),
        "reportedCost": dollars(row.reported_cost_nanos),
        "priceVersion": row.price_version,
        "success": row.success,
        "error": row.error_type,
        "latency": row.latency_ms,
        "linkState": row.link_state,
        "unlinkedReason": row.unlinked_reason,
        "linkedCost": dollars(row.counted_nanos),
    }


def _flat_run(row: Any) -> dict[str, Any]:
    run = run_object(row)
    return {**run, **run["tokens"]}


def get_run(run_id: str) -> Response:
    """One run with its price line by line and its links with their evidence."""
    organization = require_key("read").organization
    found = run_service.run_details(context().store, organization, _number(run_id))
    return json_answer({"run": details_object(found)})


def details_object(found: RunDetails) -> dict[str, Any]:
    """A run with its price line by line and its links."""
    return {
        **run_object(found.run),
        "price": _price_object(found),
        "links": [link_object(link) for link in found.links],
    }


def _price_object(found: RunDetails) -> dict[str, Any]:
    """Class × tokens × rate by the prices of now, whose they are and since when, and whether that is the run's cost."""
    card = found.card
    total = sum(line.cost_nanos for line in found.lines) if card else None
    return {
        "lines": [
            {
                "class": _TOKENS.get(line.column, line.column),
                "quantity": line.quantity,
                "dollarsPerMillion": float(line.picos) / 1_000_000,
                "cost": dollars(line.cost_nanos),
            }
            for line in found.lines
        ],
        "total": dollars(total),
        "source": card.source if card else None,
        "version": card.version if card else None,
        "model": card.model if card else None,
        "effectiveFrom": instant(card.valid_from) if card else None,
        "effectiveTo": instant(card.valid_to) if card else None,
        "isCost": total is not None and total == found.run.cost_nanos,
        "note": price_note(found),
    }


def price_note(found: RunDetails) -> str | None:
    """Why the lines of a run's price are not its cost, or what in them is estimated. None: nothing to say."""
    run, card = found.run, found.card
    total = sum(line.cost_nanos for line in found.lines) if card else None
    if run.cost_status == "reported":
        return "The caller reported the cost; the lines are what the list price would be"
    if card is None:
        return f"No price is known for {run.model}: set one with PUT /models/prices, then reprice"
    if run.cost_nanos is None:
        return "A price is known now: reprice to apply it"
    if total != run.cost_nanos:
        return f"Priced by {run.price_version}; the prices of now differ: reprice to apply them"
    if card.approximate:
        return "The processing or tier asked for has no price of its own: the standard one stands in"
    if run.usage_quality != "exact":
        return "The tokens are split by estimate"
    return None


_Number = Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]


class LinkDecision(msgspec.Struct, rename="camel"):
    """What a person says of a run."""

    action: Annotated[
        Literal["confirm", "reject", "move", "split", "undo", "not_code", "code"],
        msgspec.Meta(
            description="split: equally over `prNumbers`; undo: forget what was decided of the run; "
            "not_code: production traffic, outside code spend; code: the reverse"
        ),
    ]
    pr_number: _Number | None = None
    repo: str | None = None
    from_pr_number: _Number | None = None
    pr_numbers: Annotated[tuple[_Number, ...], msgspec.Meta(max_length=MOST_PARTS)] = ()


def decide(run_id: str) -> Response:
    """Confirms, rejects, moves or splits a link, or undoes that; or says what is code. It survives every relinking."""
    key = require_key("admin" if "admin" in require_key("read").scopes else "ingest")
    body = decode(json_body(), LinkDecision)
    store, number, by = context().store, _number(run_id), key.member_email or f"key {key.name}"
    if body.action == "not_code" or body.action == "code":  # spelled out for the type checker
        corrections.set_code(
            store,
            key.organization,
            number,
            code=body.action == "code",
            by=by,
            ask_linking=context().queue.link_soon,
        )
    else:
        corrections.decide(
            store,
            key.organization,
            number,
            action=body.action,
            repository=body.repo,
            numbers=body.pr_numbers if body.action == "split" else tuple(filter(None, (body.pr_number,))),
            from_number=body.from_pr_number,
            by=by,
        )
    found = run_service.run_details(store, key.organization, number)
    return json_answer({"success": True, "run": details_object(found)})


def list_links() -> Response:
    """The links that hold now, those of the newest run first: a page of them, or all as a file."""
    organization = require_key("read").organization
    read = partial(
        run_service.page_of_links,
        context().store,
        organization.id,
        state=params.choice("state", ("counted", "suggested", "rejected")),
        repository_id=params.roi_filters(organization).repository_id,
        run_id=_number(run) if (run := params.text("run")) else None,
    )
    after = read_link_cursor(params.text("cursor"))
    if form := export_form():
        pages = (map(link_object, rows) for rows in every_link(read, limit=export_limit(), after=after))
        return export_answer(form, f"{organization.slug}-links", _LINK_COLUMNS, pages)
    page = read(limit=params.number("limit", 100, 1, 1_000), after=after)
    return json_answer(
        {
            "links": [link_object(row) for row in page.rows],
            "nextCursor": link_cursor(page.rows[-1]) if page.more else None,
        }
    )


def link_object(row: Any) -> dict[str, Any]:
    """A link with its evidence; `share` is its part of the run's cost, 0 to 1."""
    counted = row.state == "counted"
    return {
        "run": show_id("run", row.run_id),
        "requestId": row.request_id or show_id("req", row.run_id),
        "repo": row.repository,
        "pullRequest": row.number,
        "title": row.title,
        "outcome": row.outcome if row.number else "direct",
        "commitSha": row.commit_sha,
        "rule": row.rule,
        "confidence": row.confidence / 1000,
        "state": "rejected" if row.state == "unlinked" else row.state,
        "cost": dollars(row.cost_nanos),
        "share": (row.cost_nanos / row.run_cost_nanos if row.run_cost_nanos else 1.0) if counted else 0.0,
        "evidence": row.evidence,
        "sentence": sentence(row.evidence),
        "since": instant(row.valid_from),
    }


def _number(text: str) -> int:
    """The number of a shown run id; one that cannot be an id names no run."""
    return read_id("run", text) or 0
