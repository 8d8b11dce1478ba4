"""ROI by repository and ROI by team: from the URL to the filters, and from a report to the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import urlencode

from flask import Blueprint, Response, render_template, request

from costlens.domain.roi import Figures, RoiReport, RoiRow
from costlens.services.report_formats import roi_csv
from costlens.web import charts
from costlens.web.access import needs
from costlens.web.formats import date_range
from costlens.web.ui.nav import Nav, page_url

PERIODS: Mapping[str, str] = MappingProxyType(
    {"7d": "7 days", "28d": "28 days", "91d": "91 days", "12m": "12 months"},
)
COMPARISONS = ("previous", "none")
PAGE_OF_SCOPE: Mapping[str, str] = MappingProxyType({"repository": "repositories", "team": "teams"})
LOW_COVERAGE = 0.6  # below it, figures per pull request speak of too little of the money

# The value that a column sorts by; None sorts last in both directions.
SORT_VALUES: Mapping[str, Callable[[Figures], float | None]] = MappingProxyType(
    {
        "cost": lambda figures: figures.spend.code,
        "linked": lambda figures: figures.spend.coverage,
        "merged": lambda figures: figures.merged,
        "direct": lambda figures: figures.direct_per_merged,
        "full": lambda figures: figures.full_per_merged,
        "cycle": lambda figures: figures.cycle_hours,
        "break_even": lambda figures: figures.break_even_minutes,
    }
)


@dataclass(frozen=True, slots=True)
class RoiFilters:
    """The filters of the page; the defaults are what a URL without a query means."""

    period: str = "28d"
    compare: str = "previous"
    team: int | None = None  # None: all
    provider: str | None = None  # None: all
    sort: str = "cost"
    ascending: bool = False

    @property
    def compared(self) -> bool:
        """Whether the page shows the period before."""
        return self.compare == "previous"


# (slug, scope, filters) → the report and the frame; raises NotFound for an organization that is not the user's.
Loader = Callable[[str, str, RoiFilters], tuple[RoiReport, Nav]]


def roi_blueprint(load: Loader) -> Blueprint:
    """The two pages as a blueprint; `load` brings access control and data."""
    blueprint = Blueprint("roi", __name__)

    @blueprint.get("/app/<slug>/repositories")
    @needs("see_reports")
    def repositories(slug: str) -> Response:
        return _answer(load, slug, "repository")

    @blueprint.get("/app/<slug>/teams")
    @needs("see_reports")
    def teams(slug: str) -> Response:
        return _answer(load, slug, "team")

    return blueprint


def read_filters(query: Mapping[str, str]) -> RoiFilters:
    """Filters of a query; an unknown value means the default."""
    default = RoiFilters()
    team = query.get("team", "")
    return RoiFilters(
        period=query["period"] if query.get("period") in PERIODS else default.period,
        compare=query["compare"] if query.get("compare") in COMPARISONS else default.compare,
        team=int(team) if team.isascii() and team.isdigit() and len(team) < 19 else None,
        provider=query.get("provider") or None,
        sort=query["sort"] if query.get("sort") in SORT_VALUES else default.sort,
        ascending=query.get("dir") == "asc",
    )


def filter_query(filters: RoiFilters) -> dict[str, object]:
    """The query that `read_filters` reads as `filters`: only what differs from the default."""
    default = RoiFilters()
    values: dict[str, object] = {
        name: getattr(filters, name)
        for name in ("period", "compare", "team", "provider", "sort")
        if getattr(filters, name) != getattr(default, name)
    }
    return values | ({"dir": "asc"} if filters.ascending else {})


def sorted_rows(report: RoiReport, filters: RoiFilters) -> list[RoiRow]:
    """The report's rows in the order asked for; unknown values after the known, the row of none last."""
    value_of = SORT_VALUES[filters.sort]

    def order(row: RoiRow) -> tuple[bool, bool, float, str]:
        value = value_of(row.figures)
        known = value if value is not None else 0
        return row.id is None, value is None, known if filters.ascending else -known, row.name

    return sorted(report.rows, key=order)


def render_roi(report: RoiReport, filters: RoiFilters, nav: Nav, *, now: datetime | None = None) -> str:
    """The HTML of the page, or of its empty state where the organization has no runs; `now` is aware."""
    page = PAGE_OF_SCOPE[report.scope]
    if report.data_through is None:
        return render_template("roi/empty.html", nav=nav, page=page, scope=report.scope, first_run=_first_run(nav))
    basis = {
        "period": filters.period if filters.period != RoiFilters().period else None,
        "team": filters.team,
        "provider": filters.provider,
    }

    def rows_behind(target: str, row: RoiRow | None = None, **query: object) -> str:
        """The runs or pull requests behind a figure of one row, or of the whole table."""
        of_row = {report.scope: "none" if row.id is None else row.id} if row else {}
        return page_url(nav, target, basis | of_row | query)

    def sort_url(column: str) -> str:
        """The same page by another column, dearest first; the other way round where it is that already."""
        turned = column == filters.sort and not filters.ascending
        return page_url(nav, page, filter_query(replace(filters, sort=column, ascending=turned)))

    return render_template(
        "roi/report.html",
        nav=nav,
        page=page,
        report=report,
        filters=filters,
        rows=sorted_rows(report, filters),
        bars=charts.bars(report),
        weekly=charts.is_weekly(report),
        chart=charts.spend_chart(report, compared=filters.compared),
        sparkline=charts.sparkline,
        period_name=PERIODS[filters.period],
        periods=PERIODS,
        range=date_range(report.window.start, report.window.end),
        low_coverage=report.total.spend.coverage is not None and report.total.spend.coverage < LOW_COVERAGE,
        estimated=report.exact_share is not None and report.exact_share < 1,
        hourly_cost_command=f"costlens organization set {shlex.quote(report.organization)} --hourly-cost 95",
        rows_behind=rows_behind,
        sort_url=sort_url,
        csv_url=page_url(nav, page, filter_query(filters) | {"format": "csv"}),
        now=now or datetime.now(UTC),
    )


def _first_run(nav: Nav) -> str:
    """The command that tracks a first run on this very server."""
    return f"""curl -X POST {nav.base_url}/integrations/run \\
  -H "Authorization: Bearer $COSTLENS_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{
    "provider": "anthropic", "model": "claude-sonnet-4.6",
    "tokensUsed": 1200, "latency": 800, "success": true,
    "repo": "OWNER/NAME", "branch": "BRANCH"
  }}'"""


def _answer(load: Loader, slug: str, scope: str) -> Response:
    """The page as HTML or CSV; a query that says more than it must is redirected to the shortest one."""
    filters = read_filters(request.args)
    as_csv = {"format": "csv"} if request.args.get("format") == "csv" else {}
    query = filter_query(filters) | as_csv
    if {key: str(value) for key, value in query.items()} != request.args.to_dict():
        return Response(status=302, headers={"Location": request.path + (f"?{urlencode(query)}" if query else "")})
    report, nav = load(slug, scope, filters)
    if as_csv:
        name = f"roi-by-{scope}-{report.window.start}-{report.window.end}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(roi_csv(report), mimetype="text/csv", headers=headers)
    return Response(render_roi(report, filters, nav))
