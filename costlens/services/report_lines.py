"""The figures of a kept report in words, the same on its page and in its e-mail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from costlens.domain.estimates import Refusal
from costlens.domain.roi import Figures, RoiReport
from costlens.domain.seats import NOT_SET, NOT_SHARED, NOT_TOLD, ORGANIZATION, TEAM, TEAMS
from costlens.domain.team_report import Inputs
from costlens.domain.written import UNKNOWN, change, hours, minutes, money, number, percent
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
        *_seats(now),
        _money("Full per merged PR", _full_basis(now), now, lambda one: one.full_per_merged),
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
        Line(line.label, line.now, was, "" if line.now != was else "the same", line.basis)
        for line in figure_lines(now)
        for was in [then.get(line.label, UNKNOWN)]
    ]


def seats_words(report: RoiReport) -> str:
    """What seats have to do with the full cost, in one or two sentences; '' for a report kept before there were any."""
    if report.seats_of in _WITHOUT:
        return _WITHOUT[report.seats_of]
    total = report.total
    if report.seats_of is None or total.seats is None:
        return ""
    parts = f"{money(total.spend.code)} code spend + {money(total.seats)} seats {_WHOSE[report.seats_of]}"
    words = [f"Full cost: {parts} = {money(total.full_cost)}."]
    if report.scope == "repository":
        words.append("No repository has seats, so the rows are without.")
    elif report.seats_of_no_row:
        words.append(f"{money(report.seats_of_no_row)} of the seats are of no team and in no row.")
    if report.previous.seats is None:
        words.append("The period before had no seats.")
    return " ".join(words)


_WHOSE = {ORGANIZATION: "of the organization", TEAMS: "of its teams", TEAM: "of the team"}
_WITHOUT = {
    NOT_SET: "Seats are not set: full cost is code spend alone.",
    NOT_SHARED: "The organization's seats are not shared out to teams: full cost is code spend alone.",
    NOT_TOLD: "No repository, no provider and no run without a team has seats: full cost is code spend alone.",
}


def _seats(now: RoiReport) -> list[Line]:
    """The line of the seats; none in a report that was kept before there were any."""
    if now.seats_of is None:
        return []
    if now.seats_of == NOT_SET:
        return [Line("Seats", "not set", money(now.previous.seats), "", "subscriptions")]
    basis = f"subscriptions {_WHOSE[now.seats_of]}" if now.seats_of in _WHOSE else "not those of the organization"
    return [_money("Seats", basis, now, lambda one: one.seats)]


def _full_basis(now: RoiReport) -> str:
    return "code spend ÷ merged PRs" if now.total.seats is None else "code spend and seats ÷ merged PRs"


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
