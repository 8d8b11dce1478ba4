"""The list of pull requests: by outcome, sign of AI, team and repository, sorted by any figure, as a page or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from flask import Blueprint, Response, request

from costlens.domain.errors import InvalidInput
from costlens.domain.roi import Filters, PullRequestRow
from costlens.services import reports
from costlens.services.reports import PullRequestPage
from costlens.store.pull_lists import PULL_SORTS
from costlens.web.access import needs
from costlens.web.answers import json_answer
from costlens.web.api.exports import TYPES, export_answer
from costlens.web.api.roi import PULL_COLUMNS, pages_of_pulls
from costlens.web.context import context
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import query_of, read
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.lists import PullFilters, PullRow, PullsPage, render_pulls
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.pulls import pull_page_url

PAGE = 100

ReadPage = Callable[..., PullRequestPage]  # of cursor and limit


def blueprint() -> Blueprint:
    """The list."""
    routes = Blueprint("pull_list", __name__, url_prefix="/app/<slug>/pulls")
    routes.before_request(signed_in)
    routes.get("")(pulls_page)
    return routes


@needs("see_reports")
def pulls_page(slug: str) -> Response:
    """Pull requests behind a figure, latest end first or as asked."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(PullFilters, request.args, organization.timezone, datetime.now(UTC))
    asked = chosen.filters
    bar = bar_of(nav, "pulls", chosen)
    if other := instead(nav, "pulls", "Pull requests", chosen, bar):
        return other
    load = partial(
        reports.pull_request_report,
        context().store,
        organization.id,
        window=chosen.window,
        filters=Filters(team_id=asked.team, provider=asked.provider, repository_id=asked.repository),
        outcome=asked.outcome,
        ai=asked.ai,
        sort=asked.sort,
        ascending=asked.ascending,
    )
    if form := file_form():
        return pulls_file(load, form, asked.cursor, f"{organization.slug}-pull-requests")
    page = load(cursor=asked.cursor, limit=PAGE)
    query = query_of(asked)
    shown = PullsPage(
        rows=tuple(pull_row(row, nav) for row in page.rows),
        total_pulls=page.total_pulls,
        total_runs=page.total_runs,
        total_cost=page.total_cost,
        any_known=around.shell.pulls_known,
        bar=bar,
        next_url=page_url(nav, "pulls", query | {"cursor": page.next_cursor}) if page.next_cursor else None,
        sort=asked.sort,
        ascending=asked.ascending,
        sort_urls={
            column: page_url(
                nav,
                "pulls",
                query_of(
                    replace(asked, sort=column, ascending=column == asked.sort and not asked.ascending, cursor=None)
                ),
            )
            for column in PULL_SORTS
        },
        file_urls={
            name: page_url(nav, "pulls", query_of(replace(asked, cursor=None)) | {"format": name})
            for name in ("csv", "json")
        },
    )
    return Response(render_pulls(shown, nav))


def pull_row(row: PullRequestRow, nav: Nav) -> PullRow:
    """A pull request as lists show it."""
    return PullRow(
        number=row.number,
        title=row.title,
        repository=row.repository,
        url=pull_page_url(nav, row.repository, row.number),
        author=row.author,
        outcome=row.outcome,
        created_at=row.created_at,
        ended_at=row.merged_at or row.closed_at,
        runs=row.runs,
        runs_url=page_url(nav, "runs", {"pull": row.id}),
        cost=row.cost,
        cycle_hours=row.cycle_hours,
    )


def file_form() -> str | None:
    """The file that `format` asks a page for: csv, ndjson or json. None: the page itself. Raises InvalidInput."""
    form = request.args.get("format")
    if form is not None and form not in ("json", *TYPES):
        raise InvalidInput(f"format must be one of json, {', '.join(TYPES)}", field="format")
    return form


def pulls_file(load: ReadPage, form: str, cursor: str | None, name: str) -> Response:
    """The rows of a list as CSV or NDJSON, all of them, or a page of JSON with the totals of all."""
    if form != "json":
        return export_answer(form, name, PULL_COLUMNS, pages_of_pulls(load, cursor, None))
    page = load(cursor=cursor, limit=PAGE)
    return json_answer(
        {
            "startDate": page.window.start.isoformat(),
            "endDate": page.window.end.isoformat(),
            "timezone": page.window.timezone,
            "pullRequests": [reports.pull_request_json(row) for row in page.rows],
            "total": {
                "pullRequests": page.total_pulls,
                "runs": page.total_runs,
                "cost": page.total_cost / 1_000_000_000,
            },
            "nextCursor": page.next_cursor,
        }
    )
