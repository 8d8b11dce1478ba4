"""GET /analytics/overview and GET /usage."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from costlens.domain.periods import previous_window
from costlens.domain.shown import dollars, instant
from costlens.domain.spreadsheet import csv_line
from costlens.services.analytics import Overview, Totals, overview
from costlens.services.usage import plan_usage
from costlens.web.answers import json_answer
from costlens.web.api import groups, params
from costlens.web.auth import require_key
from costlens.web.context import context


def blueprint() -> Blueprint:
    """The routes of analytics and usage."""
    routes = Blueprint("analytics", __name__)
    routes.get("/analytics/overview")(get_overview)
    routes.get("/usage")(get_usage)
    return routes


def get_overview() -> Response:
    """Sums of a period, by `groupBy` too; successRate is a percent here."""
    organization = require_key("read").organization
    window = params.period(organization, default="30d", any_zone=True)
    where, by = params.analytics_where(organization), groups.asked()
    found = overview(context().store, organization, window, where, group_by=by)
    if params.choice("format", ("json", "csv")) == "csv":
        return _csv(found) if found.groups is None else groups.csv_answer(found.groups)
    body = _answer(found)
    if found.groups is not None:
        body["groups"] = groups.answer(found.groups)
    if params.choice("compare", ("previous",)):
        before = _answer(overview(context().store, organization, previous_window(window), where))
        body["previous"] = {name: before[name] for name in ("startDate", "endDate", *_TOTALS)}
    return json_answer(body)


_TOTALS = ("totalRuns", "totalCost", "totalTokens", "avgCostPerRun", "successRate", "avgLatency")


def _answer(found: Overview) -> dict[str, Any]:
    total, window = found.total, found.window
    return {
        "totalRuns": total.runs,
        "totalCost": dollars(total.cost_nanos),
        "totalTokens": total.tokens,
        "avgCostPerRun": total.cost_nanos / total.priced_runs / 1_000_000_000 if total.priced_runs else 0,
        "successRate": round(100 * total.succeeded / total.runs, 2) if total.runs else 0,
        "avgLatency": round(total.latency_ms / total.timed_runs) if total.timed_runs else 0,
        "dailyData": [{"date": day.isoformat(), **_sums(sums)} for day, sums in found.days.items()],
        "byModel": [{"model": name, **_sums(sums)} for name, sums in found.models.items()],
        "byProvider": [{"provider": name, **_sums(sums)} for name, sums in found.providers.items()],
        "startDate": window.start.isoformat(),
        "endDate": window.end.isoformat(),
        "timezone": window.timezone,
        "dataThrough": instant(found.data_through),
        "coverage": {
            "priced": total.priced_runs / total.runs if total.runs else None,
            "exactUsage": total.exact_runs / total.runs if total.runs else None,
            "linked": found.linked,
        },
    }


def _sums(totals: Totals) -> dict[str, Any]:
    """`cost` sums the runs that have a price; null where none has, since an unknown cost is not 0."""
    unknown = totals.runs and not totals.priced_runs
    return {
        "runs": totals.runs,
        "cost": None if unknown else dollars(totals.cost_nanos),
        "tokens": totals.tokens,
        "unpricedRuns": totals.runs - totals.priced_runs,
    }


def _csv(found: Overview) -> Response:
    labelled = [*((day.isoformat(), sums) for day, sums in found.days.items()), ("total", found.total)]
    lines = [csv_line(("date", "runs", "cost", "tokens"))]
    for label, totals in labelled:
        shown = _sums(totals)
        lines.append(csv_line((label, shown["runs"], shown["cost"], shown["tokens"])))
    return Response("".join(lines), mimetype="text/csv")


def get_usage() -> Response:
    """The plan's runs of this month; limit and percentage are null where the plan has none."""
    organization = require_key("read").organization
    used = plan_usage(context().store, organization, context().settings.plan(organization.plan))
    return json_answer(
        {
            "plan": used.plan,
            "runsThisMonth": used.runs_this_month,
            "runsLimit": used.runs_limit,
            "percentUsed": used.percent_used,
        }
    )
