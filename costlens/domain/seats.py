"""Seats: subscriptions by the month, told from a day on, and how much of them is of a report.

A day costs the month's price × 12 ÷ 365.25, to the nearest nano-dollar each, so days, windows and teams add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from costlens.domain.estimates import Dated
from costlens.domain.roi import NANOS_PER_CENT, Filters, Window, per_unit

# Whose the seats of a report are, or why it has none.
ORGANIZATION = "organization"  # told for the organization as a whole
TEAMS = "teams"  # the sum of what teams told for themselves
TEAM = "team"  # those of the team that the report is of
NOT_SET = "not_set"
NOT_SHARED = "not_shared"  # the organization's alone, and the report is of one team
NOT_TOLD = "not_told"  # no repository and no provider has seats


@dataclass(frozen=True, slots=True)
class Told:
    """Assumptions of the organization as a whole, and of its teams by id."""

    whole: Sequence[Dated] = ()
    teams: Mapping[int, Sequence[Dated]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seats:
    """Seats of one window in nano-dollars."""

    of: str
    total: int | None  # None: none, `of` tells why
    by_team: Mapping[int, int] = field(default_factory=dict)  # of the teams that told their own


def seats_in(told: Told, filters: Filters, window: Window) -> Seats:
    """The seats of a report in a window.

    Those of the organization are shared out to nobody: no run tells whose they are. Its total is what it told as a
    whole, or on days when it told nothing, or less than its teams did, what they told for themselves.
    """
    if filters.repository_id is not None or filters.provider is not None or filters.team_id == 0:
        return Seats(NOT_TOLD, None)
    whole = seats_by_day(told.whole, window.start, window.end)
    if filters.team_id is not None:
        own = seats_of(told.teams.get(filters.team_id, ()), window.start, window.end)
        if own:
            return Seats(TEAM, own, {filters.team_id: own})
        return Seats(NOT_SHARED if any(whole) else NOT_SET, None)
    teams = {id: seats_by_day(dated, window.start, window.end) for id, dated in told.teams.items()}
    together = [sum(each) for each in zip(*teams.values(), strict=True)] or [0] * window.days
    total = sum(map(max, whole, together))
    if not total:
        return Seats(NOT_SET, None)
    own_sums = {id: sum(days) for id, days in teams.items() if any(days)}
    return Seats(ORGANIZATION if any(whole) else TEAMS, total, own_sums)


def seats_of(dated: Sequence[Dated], first: date, last: date) -> int:
    """Nano-dollars of seats from first to last day, both included, each day at the price that holds on it."""
    return sum(seats_by_day(dated, first, last))


def seats_by_day(dated: Sequence[Dated], first: date, last: date) -> list[int]:
    """The same of each day, the oldest first."""
    costs = [0] * ((last - first).days + 1)
    ordered = sorted(dated, key=lambda each: each.since)
    until = [*(one.since - timedelta(days=1) for one in ordered[1:]), last]
    for one, held in zip(ordered, until, strict=False):
        begin, end = (max(one.since, first) - first).days, (min(held, last) - first).days + 1
        if begin < end:
            # A month is 365.25 ÷ 12 days: 48 months are 1,461.
            day = per_unit(one.assumptions.seats_cents * NANOS_PER_CENT * 48, 1_461) or 0
            costs[begin:end] = [day] * (end - begin)
    return costs
