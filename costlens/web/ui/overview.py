"""The overview page: from the URL to the filters, and from the sums to figures, charts and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from flask import Blueprint, Response, render_template, request

from costlens.domain.roi import Filters, RoiRow
from costlens.services.overview import OUTCOMES, Overview, money_overview
from costlens.services.overview_formats import flows_csv, overview_json
from costlens.store.analytics import GroupSums
from costlens.web.access import needs
from costlens.web.answers import json_answer
from costlens.web.charts import stacked_chart
from costlens.web.context import context
from costlens.web.sankey import Sankey, sankey
from costlens.web.ui import start
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import Chosen, Dates, a_text, an_id, one_of, period_name, query_of, read
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.nav import Nav, page_url, seats_url
from costlens.web.ui.pulls import repository_url

SERIES = 4  # providers with a colour of their own; the rest is Other
LISTED = 6  # rows of a short table before "more"
OTHER = "Other"
OUTCOME_NAMES = {
    "merged": "Merged",
    "direct": "Direct commits",
    "open": "Open",
    "abandoned": "Abandoned",
    "reverted": "Reverted",
    "suggested": "Suggested",
    "pending": "Pending",
    "unlinked": "Not linked",
    "not_code": "Not code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewFilters(Dates):
    """What the page is of; None: all."""

    compare: Annotated[str, one_of(("previous", "none"))] = "previous"
    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None  # 0: naming no repository
    provider: Annotated[str | None, a_text] = None

    @property
    def compared(self) -> bool:
        """Whether the page shows the period before."""
        return self.compare == "previous"


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One line of the short table of prompts; `prompt` is None for sums of several or of none."""

    name: str
    prompt: str | None
    runs: int
    succeeded: int
    priced: int
    cost: int


def blueprint() -> Blueprint:
    """The page, as HTML, JSON and CSV."""
    routes = Blueprint("overview", __name__)
    routes.before_request(signed_in)
    routes.get("/app/<slug>/overview")(needs("see_reports")(overview_page))
    return routes


def overview_page(slug: str) -> Response:
    """What AI cost, how it ran, where the money went and what changed most."""
    around = frame(slug)
    nav = around.nav
    chosen = read(OverviewFilters, request.args, nav.timezone, datetime.now(UTC))
    bar = bar_of(nav, "overview", chosen)
    if other := instead(nav, "overview", "Overview", chosen, bar):
        return other
    asked = chosen.filters
    filters = Filters(team_id=asked.team, repository_id=asked.repository, provider=asked.provider)
    found = money_overview(context().store, around.organization.id, window=chosen.window, filters=filters)
    form = request.args.get("format")
    if form == "json":
        return json_answer(overview_json(found))
    if form == "csv":
        name = f"overview-{chosen.window.start}-{chosen.window.end}.csv"
        return Response(
            flows_csv(found), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )
    if found.report.data_through is None:
        return Response(start.first_page(slug))
    return Response(render_overview(found, chosen, bar, nav))


def render_overview(found: Overview, chosen: Chosen[OverviewFilters], bar: Any, nav: Nav) -> str:
    """The HTML of the page."""
    filters, report = chosen.filters, found.report
    basis = query_of(filters, "period", "from", "to", "team", "repository", "provider")

    def rows_behind(target: str, **query: object) -> str:
        """The runs or pull requests behind a figure."""
        return page_url(nav, target, basis | query)

    def repository_page(name: str) -> str:
        return repository_url(nav, name, {key: basis.get(key) for key in ("period", "from", "to", "team", "provider")})

    colours = _colours(found.providers)
    by_cost = sorted((row for row in report.rows if row.id is not None), key=lambda row: -row.figures.spend.code)
    rest = by_cost[LISTED:]
    return render_template(
        "overview/index.html",
        nav=nav,
        page="overview",
        found=found,
        report=report,
        filters=filters,
        bar=bar,
        period_name=period_name(filters, report.window),
        rows_behind=rows_behind,
        repository_page=repository_page,
        seats_url=seats_url(nav, filters.team),
        report_url=page_url(nav, "repositories", query_of(filters)),
        csv_url=page_url(nav, "overview", query_of(filters) | {"format": "csv"}),
        json_url=page_url(nav, "overview", query_of(filters) | {"format": "json"}),
        provider_costs=_provider_costs(found, colours),
        chart=stacked_chart(*_series(found, colours, compared=filters.compared)),
        bars=found.days,
        picture=_picture(found, colours),
        outcome_names=OUTCOME_NAMES,
        outcome_costs=_outcome_costs(found),
        team_names={0: "No team"} | dict(found.teams),
        top=by_cost[:LISTED],
        rest=rest,
        nowhere=next((row for row in report.rows if row.id is None), None),
        prompts=_prompt_rows(found.prompts),
        changes=_changes(report.rows),
    )


def _colours(providers: Sequence[str]) -> Mapping[str, str]:
    """The series of each provider: a place among the first, or other."""
    return {name: f"p{at}" if at < SERIES else "other" for at, name in enumerate(providers)}


def _provider_costs(found: Overview, colours: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """(series, label, cost) of the legend, dearest first."""
    costs: dict[str, int] = {}
    for flow in found.flows:
        series = colours[flow.provider]
        costs[series] = costs.get(series, 0) + flow.cost
    labels = {series: name for name, series in colours.items() if series != "other"} | {"other": OTHER}
    return [(series, labels[series], costs[series]) for series in sorted(costs, key=lambda s: (s == "other", s))]


def _series(
    found: Overview, colours: Mapping[str, str], *, compared: bool
) -> tuple[list[Any], list[tuple[str, str, list[int]]]]:
    """The chart's days, and (series, label, nano-dollars a day) of each provider and of the period before."""
    labels = {series: label for series, label, _ in _provider_costs(found, colours)}
    series = [
        (key, label, [sum(c for name, c in day.costs.items() if colours.get(name) == key) for day in found.days])
        for key, label in labels.items()
    ]
    if compared:
        series.append(("previous", "Previous", [day.previous for day in found.days]))
    return [day.day for day in found.days], series


def _picture(found: Overview, colours: Mapping[str, str]) -> Sankey:
    teams: dict[int, int] = {}
    for flow in found.flows:
        teams[flow.team] = teams.get(flow.team, 0) + flow.cost
    named = [id for id in sorted(teams, key=lambda id: -teams[id]) if id][:5]
    order = [*map(str, named), OTHER, "0"]

    def team(id: int) -> str:
        return str(id) if id in (*named, 0) else OTHER

    flows = [((colours[flow.provider], team(flow.team), flow.outcome), flow.cost) for flow in found.flows]
    providers = {series: label for series, label, _ in _provider_costs(found, colours)}
    labels = providers | OUTCOME_NAMES | {str(id): found.teams.get(id, "Deleted team") for id in named}
    labels |= {OTHER: "Other teams", "0": "No team"}
    return sankey(flows, ([*providers], order, OUTCOMES), lambda name: labels[name])


def _outcome_costs(found: Overview) -> list[tuple[str, int]]:
    costs = dict.fromkeys(OUTCOMES, 0)
    for flow in found.flows:
        costs[flow.outcome] += flow.cost
    return [(outcome, cost) for outcome, cost in costs.items() if cost]


def _prompt_rows(prompts: Sequence[GroupSums]) -> list[PromptRow]:
    """The dearest prompts, the others as one row, and the runs that name none; they add up to all runs."""
    named = [row for row in prompts if row.value and row.runs]
    rows = [PromptRow(row.value, row.value, row.runs, row.succeeded, row.priced_runs, row.cost_nanos) for row in named]
    shown, rest = rows[:LISTED], rows[LISTED:]
    if rest:
        shown.append(_together(f"{len(rest)} more", rest))
    nameless = [row for row in prompts if not row.value and row.runs]
    shown += [
        PromptRow("No promptId", None, row.runs, row.succeeded, row.priced_runs, row.cost_nanos) for row in nameless
    ]
    return shown


def _together(name: str, rows: Sequence[PromptRow]) -> PromptRow:
    return PromptRow(
        name,
        None,
        sum(row.runs for row in rows),
        sum(row.succeeded for row in rows),
        sum(row.priced for row in rows),
        sum(row.cost for row in rows),
    )


def _changes(rows: Sequence[RoiRow]) -> list[RoiRow]:
    """The rows whose code cost changed most, by size; those that did not change are left out."""
    moved = [row for row in rows if row.figures.spend.code != row.previous.spend.code]
    return sorted(moved, key=lambda row: -abs(row.figures.spend.code - row.previous.spend.code))[:LISTED]
