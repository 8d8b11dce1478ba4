"""Tables as CSV: the same rows and figures as the page, unrounded."""

from __future__ import annotations

import csv
import io

from costlens.domain.roi import Figures, RoiReport

HEADER = (
    "name",
    "team",
    "code_cost_usd",
    "previous_code_cost_usd",
    "not_code_cost_usd",
    "linked_cost_usd",
    "suggested_cost_usd",
    "pending_cost_usd",
    "unlinked_cost_usd",
    "runs",
    "unpriced_runs",
    "merged_pull_requests",
    "abandoned_pull_requests",
    "reverted_pull_requests",
    "direct_usd_per_merged",
    "full_usd_per_merged",
    "cycle_hours",
    "break_even_minutes",
)


def roi_csv(report: RoiReport) -> str:
    """The report's rows and its total; money in dollars with nine decimals, unknown values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for row in report.rows:
        writer.writerow(_line(row.name, row.team, row.figures, row.previous))
    writer.writerow(_line("Total", None, report.total, report.previous))
    return out.getvalue()


def _line(name: str, team: str | None, figures: Figures, previous: Figures) -> list[object]:
    spend = figures.spend
    return [
        _text(name),
        _text(team or ""),
        _dollars(spend.code),
        _dollars(previous.spend.code),
        _dollars(spend.not_code),
        _dollars(spend.counted),
        _dollars(spend.suggested),
        _dollars(spend.pending),
        _dollars(spend.unlinked),
        spend.runs,
        spend.unpriced_runs,
        figures.merged,
        figures.abandoned,
        figures.reverted,
        _dollars(figures.direct_per_merged),
        _dollars(figures.full_per_merged),
        figures.cycle_hours,
        figures.break_even_minutes,
    ]


def _text(value: str) -> str:
    """A name that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _dollars(nanos: int | None) -> str:
    if nanos is None:
        return ""
    whole, part = divmod(abs(nanos), 10**9)
    return f"{'-' if nanos < 0 else ''}{whole}.{part:09d}"
