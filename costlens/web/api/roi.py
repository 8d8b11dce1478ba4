"""GET /roi/summary, /roi/repositories, /roi/teams, and /roi/pull-requests with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response

from costlens.services import corrections, reports
from costlens.services.pull_formats import pull_details_json
from costlens.services.pulls import LARGEST, find, pull_details, pull_url
from costlens.store.organizations import Organization
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.api.exports import export_answer, export_form, export_limit
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body


def blueprint() -> Blueprint:
    """The routes of the ROI reports."""
    routes = Blueprint("roi", __name__)
    routes.get("/roi/repositories")(get_repositories)
    routes.get("/roi/teams")(get_teams)
    routes.get("/roi/summary")(get_summary)
    routes.get("/roi/pull-requests")(get_pull_requests)
    routes.get("/roi/pull-requests/<owner>/<repo>/<int:number>")(get_pull_request)
    routes.post("/roi/pull-requests/<owner>/<repo>/<int:number>/mark")(mark_pull_request)
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
    """One pull request: what it cost run by run and why, its course, and what it has cost since."""
    return _pull_answer(require_key("read").organization, f"{owner}/{repo}", number)


class Mark(msgspec.Struct, rename={"said": "as"}, forbid_unknown_fields=True):
    """What a person says of a pull request."""

    said: Annotated[Literal["ai", "manual"] | None, msgspec.Meta(description="null: what its signs say counts again")]


def mark_pull_request(owner: str, repo: str, number: int) -> Response:
    """Says that a pull request was made with AI, or by hand; no sync takes it back."""
    key = require_key("admin" if "admin" in require_key("read").scopes else "ingest")
    said = decode(json_body(), Mark).said
    store, name, number = context().store, f"{owner}/{repo}", min(number, LARGEST)
    with store.read() as tx:
        pull_id = find(tx, key.organization.id, name, number)
    corrections.mark(store, key.organization.id, pull_id, said=said, by=key.member_email or f"key {key.name}")
    return _pull_answer(key.organization, name, number)


def _pull_answer(organization: Organization, repository: str, number: int) -> Response:
    found = pull_details(context().store, organization, repository, min(number, LARGEST))
    return json_answer(pull_details_json(found, pull_url(context().settings.github_url, organization, found.pull)))


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
PULL_COLUMNS = (
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
        ai=params.text("ai"),
        sort=params.text("sort") or "ended",
        ascending=params.choice("direction", ("asc", "desc")) == "asc",
    )
    cursor = params.text("cursor")
    if form := export_form():
        return export_answer(
            form, f"{organization.slug}-pull-requests", PULL_COLUMNS, pages_of_pulls(read, cursor, export_limit())
        )
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


def pages_of_pulls(
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
