"""GET /roi/summary, /roi/repositories, /roi/teams, and /roi/pull-requests with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from flask import Blueprint, Response

from costlens.domain.runs import show_id
from costlens.domain.shown import NANOS, dollars, instant
from costlens.services import reports
from costlens.services.pulls import pull_details
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.exports import export_answer, export_form, export_limit
from costlens.web.auth import require_key
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The routes of the ROI reports."""
    routes = Blueprint("roi", __name__)
    routes.get("/roi/repositories")(get_repositories)
    routes.get("/roi/teams")(get_teams)
    routes.get("/roi/summary")(get_summary)
    routes.get("/roi/pull-requests")(get_pull_requests)
    routes.get("/roi/pull-requests/<owner>/<repo>/<int:number>")(get_pull_request)
    return routes


def get_repositories() -> Response:
    """ROI by repository."""
    return _report("repository")


def get_teams() -> Response:
    """ROI by team."""
    return _report("team")


def get_summary() -> Response:
    """The total without its rows."""
    organization = require_key("read").organization
    report = reports.roi_report(
        context().store,
        organization.id,
        "repository",
        window=params.period(organization),
        filters=params.roi_filters(organization),
    )
    body = reports.roi_json(report)
    del body["repositories"]
    return json_answer(body)


def get_pull_request(owner: str, repo: str, number: int) -> Response:
    """One pull request: what it cost, run by run."""
    organization = require_key("read").organization
    found = pull_details(context().store, organization.id, f"{owner}/{repo}", min(number, (1 << 31) - 1))
    pull = found.pull
    return json_answer(
        {
            "pullRequest": {
                "number": pull.number,
                "repo": pull.repository,
                "title": pull.title,
                "outcome": pull.outcome,
                "runs": pull.runs,
                "cost": int(pull.cost_nanos or 0) / NANOS,
                "createdAt": instant(pull.created_at),
                "mergedAt": instant(pull.merged_at),
                "closedAt": instant(pull.closed_at),
                "cycleHours": found.cycle_hours,
            },
            "runs": [
                {
                    "id": show_id("run", run.id),
                    "requestId": run.request_id or show_id("req", run.id),
                    "timestamp": instant(run.occurred_at),
                    "provider": run.provider,
                    "model": run.model,
                    "promptId": run.prompt_id,
                    "actor": run.actor,
                    "cost": dollars(run.cost_nanos),
                    "linkedCost": int(run.linked_nanos) / NANOS,
                }
                for run in found.runs
            ],
        }
    )


def _report(scope: str) -> Response:
    organization = require_key("read").organization
    report = reports.roi_report(
        context().store,
        organization.id,
        scope,
        window=params.period(organization),
        filters=params.roi_filters(organization),
    )
    if params.choice("format", ("json", "csv")) == "csv":
        return Response(reports.roi_csv(report), mimetype="text/csv")
    return json_answer(reports.roi_json(report))


PAGE = 100  # pull requests read at a time for a file
_COLUMNS = (
    "number",
    "repo",
    "title",
    "outcome",
    "runs",
    "cost",
    "createdAt",
    "mergedAt",
    "closedAt",
    "cycleHours",
)


def get_pull_requests() -> Response:
    """Pull requests with counted runs: a page of them, or all as a file."""
    organization = require_key("read").organization
    read = partial(
        reports.pull_request_report,
        context().store,
        organization.id,
        window=params.period(organization),
        filters=params.roi_filters(organization),
        outcome=params.text("outcome"),
    )
    cursor = params.text("cursor")
    if form := export_form():
        return export_answer(form, f"{organization.slug}-pull-requests", _COLUMNS, _pages(read, cursor, export_limit()))
    page = read(cursor=cursor, limit=params.number("limit", 100, 1, 100))
    return json_answer(
        {
            "startDate": page.window.start.isoformat(),
            "endDate": page.window.end.isoformat(),
            "timezone": page.window.timezone,
            "pullRequests": [reports.pull_request_json(row) for row in page.rows],
            "nextCursor": page.next_cursor,
        }
    )


def _pages(
    read: Callable[..., reports.PullRequestPage], cursor: str | None, limit: int | None
) -> Iterator[list[dict[str, Any]]]:
    """The rows of all pages, each read when it is asked for; `limit` None: all."""
    left = limit
    while left is None or left > 0:
        page = read(cursor=cursor, limit=PAGE if left is None else min(PAGE, left))
        yield [reports.pull_request_json(row) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return
        left = None if left is None else left - len(page.rows)
