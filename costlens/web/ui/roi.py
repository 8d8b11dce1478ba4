"""ROI by repository and ROI by team: from the URL to the filters, and from a report to the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated

from flask import Blueprint, Response, render_template, request

from costlens.domain.roi import Figures, RoiReport, RoiRow, Window
from costlens.services.report_formats import roi_csv, roi_json, roi_ndjson
from costlens.services.report_lines import seats_words
from costlens.web import charts
from costlens.web.access import needs
from costlens.web.answers import json_answer
from costlens.web.ui.filter_bar import Bar, bar_of, instead
from costlens.web.ui.filters import (
    NONE,
    Chosen,
    Dates,
    a_text,
    an_id,
    one_of,
    period_name,
    query_of,
    read,
    rising,
)
from costlens.web.ui.nav import Nav, page_url, seats_url

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiFilters(Dates):
    """What the report is of; None: all."""

    compare: Annotated[str, one_of(COMPARISONS)] = "previous"
    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None  # 0: naming no repository
    provider: Annotated[str | None, a_text] = None
    sort: Annotated[str, one_of(SORT_VALUES)] = "cost"
    ascending: Annotated[bool, rising] = False

    @property
    def compared(self) -> bool:
        """Whether the page shows the period before."""
        return self.compare == "previous"


FrameOf = Callable[[str], Nav]  # of a slug; raises NotFound for an organization that is not the user's
Loader = Callable[[str, str, Window, RoiFilters], RoiReport]  # of slug, scope, period and filters
FirstPage = Callable[[str], str]  # of a slug: the page of an organization that has no runs yet


def roi_blueprint(frame_of: FrameOf, load: Loader, first_page: FirstPage) -> Blueprint:
    """The two pages as a blueprint; what it is given brings access control and data."""
    blueprint = Blueprint("roi", __name__)

    def answer(slug: str, scope: str) -> Response:
        nav, page = frame_of(slug), PAGE_OF_SCOPE[scope]
        chosen = read(RoiFilters, request.args, nav.timezone, datetime.now(UTC))
        bar = bar_of(nav, page, chosen)
        if other := instead(nav, page, f"ROI by {scope}", chosen, bar):
            return other
        report = load(slug, scope, chosen.window, chosen.filters)
        if made := _as_file(report, request.args.get("format")):
            return made
        return Response(first_page(slug) if report.data_through is None else render_roi(report, chosen, bar, nav))

    @blueprint.get("/app/<slug>/repositories")
    @needs("see_reports")
    def repositories(slug: str) -> Response:
        return answer(slug, "repository")

    @blueprint.get("/app/<slug>/teams")
    @needs("see_reports")
    def teams(slug: str) -> Response:
        return answer(slug, "team")

    return blueprint


def sorted_rows(report: RoiReport, filters: RoiFilters) -> list[RoiRow]:
    """The report's rows in the order asked for; unknown values after the known, the row of none last."""
    value_of = SORT_VALUES[filters.sort]

    def order(row: RoiRow) -> tuple[bool, bool, float, str]:
        value = value_of(row.figures)
        known = value if value is not None else 0
        return row.id is None, value is None, known if filters.ascending else -known, row.name

    return sorted(report.rows, key=order)


def render_roi(
    report: RoiReport, chosen: Chosen[RoiFilters], bar: Bar, nav: Nav, *, now: datetime | None = None
) -> str:
    """The HTML of the page; `now` is aware."""
    page, filters = PAGE_OF_SCOPE[report.scope], chosen.filters
    basis = query_of(filters, "period", "from", "to", "team", "repository", "provider")

    def rows_behind(target: str, row: RoiRow | None = None, **query: object) -> str:
        """The runs or pull requests behind a figure of one row, or of the whole table."""
        of_row = {report.scope: NONE if row.id is None else row.id} if row else {}
        return page_url(nav, target, basis | of_row | query)

    def sort_url(column: str) -> str:
        """The same page by another column, dearest first; the other way round where it is that already."""
        turned = column == filters.sort and not filters.ascending
        return page_url(nav, page, query_of(replace(filters, sort=column, ascending=turned)))

    return render_template(
        "roi/report.html",
        nav=nav,
        page=page,
        report=report,
        filters=filters,
        bar=bar,
        rows=sorted_rows(report, filters),
        bars=charts.bars(report),
        weekly=charts.is_weekly(report),
        chart=charts.spend_chart(report, compared=filters.compared),
        sparkline=charts.sparkline,
        period_name=period_name(filters, report.window),
        low_coverage=report.total.spend.coverage is not None and report.total.spend.coverage < LOW_COVERAGE,
        hourly_cost_command=f"costlens organization set {shlex.quote(report.organization)} --hourly-cost 95",
        seats_words=seats_words(report),
        seats_url=seats_url(nav, filters.team),
        rows_behind=rows_behind,
        sort_url=sort_url,
        file_urls={
            form: page_url(nav, page, query_of(filters) | {"format": form}) for form in ("csv", "json", "ndjson")
        },
        now=now or datetime.now(UTC),
    )


def _as_file(report: RoiReport, form: str | None) -> Response | None:
    """The report as CSV, JSON or NDJSON (a row a line, those of the CSV). None: as a page."""
    if form == "json":
        return json_answer(roi_json(report))
    if form is None or form not in _FILES:
        return None
    mimetype, lines = _FILES[form]
    name = f"roi-by-{report.scope}-{report.window.start}-{report.window.end}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(lines(report), mimetype=mimetype, headers=headers)


_FILES: Mapping[str, tuple[str, Callable[[RoiReport], Iterator[str]]]] = MappingProxyType(
    {"csv": ("text/csv", roi_csv), "ndjson": ("application/x-ndjson", roi_ndjson)}
)
