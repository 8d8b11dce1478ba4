"""The overview as JSON, and where its money went as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from costlens.domain.shown import dollars
from costlens.domain.spreadsheet import csv_line
from costlens.services.overview import Overview, Usage
from costlens.services.report_formats import roi_json


def overview_json(found: Overview) -> dict[str, Any]:
    """JSON values: money in dollars unrounded, shares from 0 to 1, null for not available; `roi` is the report."""
    return {
        "roi": roi_json(found.report),
        "usage": _usage(found.usage) | {"previous": _usage(found.usage_before)},
        "flows": [
            {
                "provider": flow.provider,
                "teamId": flow.team or None,
                "team": found.teams.get(flow.team),
                "outcome": flow.outcome,
                "cost": dollars(flow.cost),
            }
            for flow in found.flows
        ],
        "days": [
            {
                "date": day.day.isoformat(),
                "byProvider": {name: dollars(cost) for name, cost in day.costs.items()},
                "previous": dollars(day.previous),
            }
            for day in found.days
        ],
        "prompts": [
            {
                "promptId": row.value or None,
                "runs": row.runs,
                "succeeded": row.succeeded,
                "cost": dollars(row.cost_nanos) if row.priced_runs or not row.runs else None,
                "unpricedRuns": row.runs - row.priced_runs,
            }
            for row in found.prompts
        ],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "runs": usage.runs,
        "successRate": usage.success_rate,
        "meanLatencyMs": usage.mean_ms,
        "medianLatencyMs": usage.median_ms,
        "p95LatencyMs": usage.p95_ms,
    }


def flows_csv(found: Overview) -> Iterator[str]:
    """Provider, team, outcome and exact cost; the last line is their sum."""
    yield csv_line(["Provider", "Team", "Outcome", "Cost (USD)"])
    for flow in found.flows:
        team = found.teams.get(flow.team, "Deleted team") if flow.team else "No team"
        yield csv_line([flow.provider, team, flow.outcome, Decimal(flow.cost).scaleb(-9)])
    yield csv_line(["Total", "", "", Decimal(sum(flow.cost for flow in found.flows)).scaleb(-9)])
