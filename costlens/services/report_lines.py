"""The figures of a kept report in words, the same on its page and in its e-mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from costlens.domain.estimates import Refusal
from costlens.domain.roi import Figures, RoiReport
from costlens.domain.team_report import Inputs
from costlens.domain.written import change, hours, minutes, money, number, percent
from costlens.services.report_documents import estimated_of


@dataclass(frozen=True, slots=True)
class Line:
    """One figure, its value in the period before, and how it came to be."""

    label: str
    now: str
    before: str
    change: str  # '' where a change says nothing
    basis: str


def figure_lines(now: RoiReport) -> list[Line]:
    """The figures that are told of a report, each with the period before."""
    total, before = now.total, now.previous
    return [
        _money("AI cost", "all runs of the period", now, lambda one: one.spend.total),
        _money("Code spend", "without production traffic", now, lambda one: one.spend.code),
        Line("Linked", percent(total.spend.coverage), percent(before.spend.coverage), "", "linked ÷ code spend"),
        Line(
            "Merged PRs",
            number(total.merged),
            number(before.merged),
            change(total.merged, before.merged),
            "with linked runs, merged in the period",
        ),
        _money("Direct per merged PR", "cost of merged PRs ÷ merged PRs", now, lambda one: one.direct_per_merged),
        _money("Full per merged PR", "code spend ÷ merged PRs", now, lambda one: one.full_per_merged),
        Line("Merge yield", percent(total.merge_yield), percent(before.merge_yield), "", "merged ÷ closed PRs"),
        Line("Cycle time", hours(total.cycle_hours), hours(before.cycle_hours), "", "median, first commit to merge"),
        Line(
            "Break-even",
            minutes(total.break_even_minutes),
            minutes(before.break_even_minutes),
            "",
            "to be saved per merged PR" if now.hourly_cost_cents is not None else "no hourly cost is set",
        ),
    ]


def against(now: RoiReport, earlier: RoiReport) -> list[Line]:
    """The figures of a report beside those of an earlier one."""
    then = {line.label: line.now for line in figure_lines(earlier)}
    return [
        Line(line.label, line.now, then[line.label], "" if line.now != then[line.label] else "the same", line.basis)
        for line in figure_lines(now)
    ]


def estimate_words(inputs: Inputs) -> str:
    """What AI may be worth in one sentence, always as a range, or why it is not told."""
    found = estimated_of(inputs)
    if isinstance(found.result, Refusal):
        return f"No estimate of a return: {found.result.reason} {found.result.fix}"
    low, high = found.result.drawn_percent.low, found.result.drawn_percent.high
    multiple = found.result.multiple
    return (
        f"Estimated ROI {low:+.0f} % to {high:+.0f} % (p10 to p90), {multiple.low:.1f}× to {multiple.high:.1f}× of the "
        f"spend, above 0 in {percent(found.result.probability)} of the draws; it stands on your assumptions."
    ).replace("-", "−")


def _money(label: str, basis: str, report: RoiReport, of: Callable[[Figures], int | None]) -> Line:
    now, before = of(report.total), of(report.previous)
    moved = "" if now is None or before is None else change(now, before)
    return Line(label, money(now), money(before), moved, basis)
