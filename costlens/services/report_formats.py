"""An ROI report as JSON for the API and as CSV for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from costlens.domain.roi import (
    AssistedShare,
    DaySpend,
    Figures,
    PullRequestRow,
    RoiReport,
    RoiRow,
    Spend,
    required_hours_per_week,
)
from costlens.domain.shown import dollars, instant
from costlens.domain.spreadsheet import Cell, csv_line

_PLURAL = {"repository": "repositories", "team": "teams"}

_MONEY_COLUMNS = (
    "Cost (USD)",
    "Previous cost (USD)",
    "Linked (USD)",
    "Merged (USD)",
    "Direct commits (USD)",
    "Open (USD)",
    "Abandoned (USD)",
    "Reverted (USD)",
    "Suggested (USD)",
    "Pending (USD)",
    "Not linked (USD)",
)
_SEAT_COLUMNS = ("Seats (USD)", "Full cost (USD)")
_FIGURE_COLUMNS = (
    "Linked share",
    "Merged PRs",
    "Abandoned PRs",
    "Reverted PRs",
    "PRs shared with other rows",
    "Cost of merged PRs (USD)",
    "Direct per merged PR (USD)",
    "Median per merged PR (USD)",
    "P90 per merged PR (USD)",
    "Full per merged PR (USD)",
    "Merge yield",
    "Cycle time (hours)",
    "Break-even (minutes per merged PR)",
    "Required hours",
)


def roi_json(report: RoiReport) -> dict[str, Any]:
    """The report as JSON values: camelCase, money in dollars unrounded, shares from 0 to 1, null for not available."""
    told = report.seats_of is not None
    return {
        "startDate": report.window.start.isoformat(),
        "endDate": report.window.end.isoformat(),
        "timezone": report.window.timezone,
        "comparison": {
            "startDate": report.comparison.start.isoformat(),
            "endDate": report.comparison.end.isoformat(),
        },
        "dataThrough": instant(report.data_through),
        "organization": report.organization,
        "scope": report.scope,
        "hourlyCost": None if report.hourly_cost_cents is None else report.hourly_cost_cents / 100,
        "contributors": report.contributors,
        "requiredHoursPerWeek": required_hours_per_week(
            report.total.required_hours, report.contributors, report.window.days
        ),
        "coverage": {
            "priced": report.priced_share,
            "exactUsage": report.exact_share,
            "linked": report.total.spend.coverage,
        },
        "aiAssisted": _assisted_json(report.assisted),
        **({"seats": {"of": report.seats_of, "ofNoRow": dollars(report.seats_of_no_row)}} if told else {}),
        "total": _figures_json(report.total, told),
        "previous": _figures_json(report.previous, told),
        _PLURAL[report.scope]: [_row_json(row, told) for row in report.rows],
        "days": [_day_json(day) for day in report.days],
        "unlinkedReasons": {reason: dollars(nanos) for reason, nanos in report.unlinked_reasons.items()},
    }


def pull_request_json(row: PullRequestRow) -> dict[str, Any]:
    """One pull request as JSON values; runs and cost over its whole life."""
    return {
        "number": row.number,
        "repo": row.repository,
        "title": row.title,
        "outcome": row.outcome,
        "runs": row.runs,
        "cost": dollars(row.cost),
        "createdAt": instant(row.created_at),
        "mergedAt": instant(row.merged_at),
        "closedAt": instant(row.closed_at),
        "cycleHours": row.cycle_hours,
    }


def _assisted_json(share: AssistedShare | None) -> dict[str, Any] | None:
    if share is None:
        return None
    return {
        "linked": share.linked,
        "declared": share.declared,
        "noneSeen": share.none_seen,
        "atLeast": share.at_least,
    }


def _row_json(row: RoiRow, told: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "team": row.team,
        **_figures_json(row.figures, told),
        "previous": _figures_json(row.previous, told),
        "trend": [dollars(nanos) for nanos in row.trend],
    }


def _figures_json(figures: Figures, told: bool) -> dict[str, Any]:
    """`told` False: a report that was kept before there were seats, whose bytes stay."""
    spend = figures.spend
    seats = {"seats": dollars(figures.seats), "fullCost": dollars(figures.full_cost)} if told else {}
    return {
        "cost": dollars(spend.code),
        "notCodeCost": dollars(spend.not_code),
        "totalCost": dollars(spend.total),
        "linkedShare": spend.coverage,
        "spend": _spend_json(spend),
        "runs": spend.runs,
        "notCodeRuns": spend.not_code_runs,
        "unpricedRuns": spend.unpriced_runs,
        "mergedPullRequests": figures.merged,
        "abandonedPullRequests": figures.abandoned,
        "revertedPullRequests": figures.reverted,
        "sharedPullRequests": figures.shared,
        "mergedPullRequestCost": dollars(figures.linked_cost),
        "directCostPerMerged": dollars(figures.direct_per_merged),
        "medianCostPerMerged": dollars(figures.median),
        "p90CostPerMerged": dollars(figures.p90),
        "fullCostPerMerged": dollars(figures.full_per_merged),
        "mergeYield": figures.merge_yield,
        "cycleHours": figures.cycle_hours,
        "breakEvenMinutes": figures.break_even_minutes,
        "requiredHours": figures.required_hours,
        **seats,
    }


def _spend_json(spend: Spend) -> dict[str, Any]:
    return {
        "counted": dollars(spend.counted),
        "merged": dollars(spend.merged),
        "direct": dollars(spend.direct),
        "open": dollars(spend.open),
        "abandoned": dollars(spend.abandoned),
        "reverted": dollars(spend.reverted),
        "suggested": dollars(spend.suggested),
        "pending": dollars(spend.pending),
        "unlinked": dollars(spend.unlinked),
        "notCode": dollars(spend.not_code),
    }


def _day_json(day: DaySpend) -> dict[str, Any]:
    return {
        "date": day.day.isoformat(),
        "merged": dollars(day.merged),
        "open": dollars(day.open),
        "abandoned": dollars(day.abandoned),
        "notLinked": dollars(day.not_linked),
        "previous": dollars(day.previous),
    }


def roi_csv(report: RoiReport) -> Iterator[str]:
    """The report as lines of CSV: a header, the rows, seats that are of no row, then Code, Not code and Total.

    The rows' costs and runs add up to Code, their seats and full costs with those of no row too; Code and Not code add
    up to Total. Money is exact; a figure that is not available is an empty cell.
    """
    told = report.seats_of is not None
    names = ("Repository", "Team") if report.scope == "repository" else ("Team",)
    columns = (*_MONEY_COLUMNS, *_FIGURE_COLUMNS, *(_SEAT_COLUMNS if told else ()))
    yield csv_line([*names, "Runs", *columns])
    for row in report.rows:
        labels = [row.name, row.team or ""][: len(names)]
        yield csv_line([*labels, *_code_cells(row.figures, row.previous, told)])
    blank: list[Cell] = [""] * (len(names) - 1)
    rest: list[Cell] = [None] * (len(columns) - 2)
    if report.seats_of_no_row:
        seats = _exact(report.seats_of_no_row)
        yield csv_line([f"Seats of no {report.scope}", *blank, None, None, *rest[:-1], seats, seats])
    now, before = report.total.spend, report.previous.spend
    yield csv_line(["Code", *blank, *_code_cells(report.total, report.previous, told)])
    yield csv_line(["Not code", *blank, now.not_code_runs, _exact(now.not_code), _exact(before.not_code), *rest])
    yield csv_line(["Total", *blank, now.runs, _exact(now.total), _exact(before.total), *rest])


def roi_ndjson(report: RoiReport) -> Iterator[str]:
    """The rows as lines of JSON, as `roi_json` has them; their costs add up to the total's."""
    for row in report.rows:
        yield msgspec.json.encode(_row_json(row, report.seats_of is not None)).decode() + "\n"


def _code_cells(figures: Figures, previous: Figures, told: bool) -> list[Cell]:
    spend = figures.spend
    buckets = (
        spend.code,
        previous.spend.code,
        spend.counted,
        spend.merged,
        spend.direct,
        spend.open,
        spend.abandoned,
        spend.reverted,
        spend.suggested,
        spend.pending,
        spend.unlinked,
    )
    return [
        spend.runs - spend.not_code_runs,
        *(_exact(nanos) for nanos in buckets),
        spend.coverage,
        figures.merged,
        figures.abandoned,
        figures.reverted,
        figures.shared,
        _exact(figures.linked_cost),
        _exact(figures.direct_per_merged),
        _exact(figures.median),
        _exact(figures.p90),
        _exact(figures.full_per_merged),
        figures.merge_yield,
        figures.cycle_hours,
        figures.break_even_minutes,
        figures.required_hours,
        *((_exact(figures.seats), _exact(figures.full_cost)) if told else ()),
    ]


def _exact(nanos: int | None) -> Decimal | None:
    return None if nanos is None else Decimal(nanos).scaleb(-9)
