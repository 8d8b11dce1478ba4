"""GET /roi/repositories, /roi/teams and /roi/pull-requests."""

from __future__ import annotations

from flask import Blueprint, Response

from costlens.services import reports
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.auth import require_key
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The routes of the ROI reports."""
    routes = Blueprint("roi", __name__)
    routes.get("/roi/repositories")(get_repositories)
    routes.get("/roi/teams")(get_teams)
    routes.get("/roi/pull-requests")(get_pull_requests)
    return routes


def get_repositories() -> Response:
    """ROI by repository."""
    return _report("repository")


def get_teams() -> Response:
    """ROI by team."""
    return _report("team")


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


def get_pull_requests() -> Response:
    """Pull requests with counted runs, a page at a time."""
    organization = require_key("read").organization
    page = reports.pull_request_report(
        context().store,
        organization.id,
        window=params.period(organization),
        filters=params.roi_filters(organization),
        outcome=params.text("outcome"),
        cursor=params.text("cursor"),
        limit=params.number("limit", 100, 1, 100),
    )
    return json_answer(
        {
            "startDate": page.window.start.isoformat(),
            "endDate": page.window.end.isoformat(),
            "timezone": page.window.timezone,
            "pullRequests": [reports.pull_request_json(row) for row in page.rows],
            "nextCursor": page.next_cursor,
        }
    )
