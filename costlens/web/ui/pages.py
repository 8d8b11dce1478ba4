"""The pages of one organization: the figures, and the rows behind them."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, request

from costlens.domain.roi import Filters, RoiReport, Window
from costlens.services import reports
from costlens.web.access import needs
from costlens.web.context import context
from costlens.web.ui import start
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import query_of, read
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.lists import (
    PullFilters,
    PullRow,
    PullsPage,
    render_pulls,
)
from costlens.web.ui.nav import page_url
from costlens.web.ui.roi import RoiFilters, roi_blueprint

PAGE = 100


def blueprint() -> Blueprint:
    """The lists behind the figures."""
    routes = Blueprint("pages", __name__, url_prefix="/app/<slug>")
    routes.before_request(signed_in)
    routes.get("/pulls")(needs("see_reports")(pulls_page))
    return routes


def roi_pages() -> Blueprint:
    """The ROI pages, filled with this server's data."""
    routes = roi_blueprint(lambda slug: frame(slug).nav, load_roi, start.first_page)
    routes.before_request(signed_in)
    return routes


def load_roi(slug: str, scope: str, span: Window, filters: RoiFilters) -> RoiReport:
    """The report of a page. Raises NotFound for an organization that is not the user's."""
    organization = frame(slug).organization
    chosen = Filters(team_id=filters.team, provider=filters.provider, repository_id=filters.repository)
    return reports.roi_report(context().store, organization.id, scope, window=span, filters=chosen)


def pulls_page(slug: str) -> Response:
    """Pull requests behind a figure, latest end first."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(PullFilters, request.args, organization.timezone, datetime.now(UTC))
    asked, span = chosen.filters, chosen.window
    bar = bar_of(nav, "pulls", chosen)
    if other := instead(nav, "pulls", "Pull requests", chosen, bar):
        return other
    page = reports.pull_request_report(
        context().store,
        organization.id,
        window=span,
        filters=Filters(team_id=asked.team, provider=asked.provider, repository_id=asked.repository),
        outcome=asked.outcome,
        cursor=asked.cursor,
        limit=PAGE,
    )
    rows = tuple(
        PullRow(
            number=row.number,
            title=row.title,
            repository=row.repository,
            url=None,
            author=row.author,
            outcome=row.outcome,
            created_at=row.created_at,
            ended_at=row.merged_at or row.closed_at,
            runs=row.runs,
            runs_url=page_url(nav, "runs", {"pull": row.id}),
            cost=row.cost,
            cycle_hours=row.cycle_hours,
        )
        for row in page.rows
    )
    shown = PullsPage(
        rows=rows,
        total_pulls=page.total_pulls,
        total_cost=page.total_cost,
        any_known=around.shell.pulls_known,
        bar=bar,
        next_url=page_url(nav, "pulls", query_of(asked) | {"cursor": page.next_cursor}) if page.next_cursor else None,
    )
    return Response(render_pulls(shown, nav))
