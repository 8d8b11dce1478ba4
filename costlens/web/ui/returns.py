"""What AI may be worth, and how AI-assisted pull requests compare with others: two pages with their own filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from flask import Blueprint, Response, render_template, request

from costlens.domain.roi import Filters
from costlens.services import assumptions, reports
from costlens.services.comparing import comparison, comparison_json
from costlens.web.access import current_member, needs
from costlens.web.context import context
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import PERIODS, Dates, a_text, an_id, one_of, period_name, query_of, read
from costlens.web.ui.frame import frame, leave_when_signed_out, signed_in
from costlens.web.ui.nav import page_url


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateFilters(Dates):
    """What the estimate is of; None: all."""

    team: Annotated[int | None, an_id] = None
    repository: Annotated[int | None, an_id] = None
    provider: Annotated[str | None, a_text] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonFilters(Dates):
    """What is compared; a quarter is too short for it, so it begins with a year."""

    period: Annotated[str, one_of(PERIODS)] = "12m"
    team: Annotated[int | None, an_id] = None
    repository: Annotated[int | None, an_id] = None


def blueprint() -> Blueprint:
    """The two pages."""
    routes = Blueprint("returns", __name__, url_prefix="/app/<slug>")
    routes.before_request(leave_when_signed_out)
    routes.before_request(signed_in)
    routes.get("/estimate")(estimate_page)
    routes.get("/comparison")(comparison_page)
    return routes


@needs("see_reports")
def estimate_page(slug: str) -> Response:
    """A range with the assumptions it stands on, or why there is none."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(EstimateFilters, request.args, organization.timezone, datetime.now(UTC))
    bar = bar_of(nav, "estimate", chosen)
    if other := instead(nav, "estimate", "Estimate of a return", chosen, bar):
        return other
    asked = chosen.filters
    filters = Filters(team_id=asked.team, repository_id=asked.repository, provider=asked.provider)
    report = reports.roi_report(context().store, organization.id, "repository", window=chosen.window, filters=filters)
    return Response(
        render_template(
            "roi/_estimate_part.html" if "HX-Request" in request.headers else "roi/estimate.html",
            nav=nav,
            page="repositories",
            bar=bar,
            report=report,
            found=assumptions.estimated(context().store, organization.id, report, filters),
            period_name=period_name(asked, chosen.window),
            change_url=page_url(nav, "settings/assumptions", {"team": asked.team or None}),
            may_change=current_member().may("manage_organization"),
            roi_url=page_url(nav, "repositories", query_of(asked)),
        )
    )


@needs("see_reports")
def comparison_page(slug: str) -> Response:
    """AI-assisted against other pull requests, matched, with intervals."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(ComparisonFilters, request.args, organization.timezone, datetime.now(UTC))
    bar = bar_of(nav, "comparison", chosen)
    if other := instead(nav, "comparison", "AI-assisted against other PRs", chosen, bar):
        return other
    filters = Filters(team_id=chosen.filters.team, repository_id=chosen.filters.repository)
    found = comparison(context().store, organization.id, chosen.window, filters)
    return Response(
        render_template(
            "roi/comparison.html", nav=nav, page="repositories", bar=bar, found=found, shown=comparison_json(found)
        )
    )
