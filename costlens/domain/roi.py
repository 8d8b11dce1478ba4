"""The ROI model without assumptions: what AI cost, what it shipped, and the break-even.

Definitions follow DORA (dora.dev, ROI of AI-assisted software development, 2026) and Apache DevLake
(`change_lead_time_calculator`: cycle time). Money is integer nano-dollars throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

FEW_PULL_REQUESTS = 20  # below it a median or p90 says more of single pull requests than of the work
REVERT_DAYS = 30  # a later revert is rework of its own, not a failed merge
NANOS_PER_CENT = 10_000_000
MILLIS_PER_HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Spend:
    """Cost of the runs that happened in the window; each nano-dollar is in exactly one bucket."""

    counted: int = 0  # linked: the sum of the five outcomes
    merged: int = 0
    direct: int = 0  # commits outside any pull request
    open: int = 0
    abandoned: int = 0
    reverted: int = 0
    suggested: int = 0
    pending: int = 0
    unlinked: int = 0
    not_code: int = 0
    runs: int = 0
    not_code_runs: int = 0  # of the runs
    unpriced_runs: int = 0  # of the runs: their cost is unknown, so no bucket holds it

    def __add__(self, other: Spend) -> Spend:
        # Spelled out: a loop over the fields is five times slower, and a year's report adds 50,000 of these.
        return Spend(
            counted=self.counted + other.counted,
            merged=self.merged + other.merged,
            direct=self.direct + other.direct,
            open=self.open + other.open,
            abandoned=self.abandoned + other.abandoned,
            reverted=self.reverted + other.reverted,
            suggested=self.suggested + other.suggested,
            pending=self.pending + other.pending,
            unlinked=self.unlinked + other.unlinked,
            not_code=self.not_code + other.not_code,
            runs=self.runs + other.runs,
            not_code_runs=self.not_code_runs + other.not_code_runs,
            unpriced_runs=self.unpriced_runs + other.unpriced_runs,
        )

    @property
    def code(self) -> int:
        """C_all: everything tracked that is not production traffic."""
        return self.counted + self.suggested + self.pending + self.unlinked

    @property
    def total(self) -> int:
        return self.code + self.not_code

    @property
    def coverage(self) -> float | None:
        """Counted ÷ code cost, 0 to 1. None: no code spend."""
        return self.counted / self.code if self.code else None


@dataclass(frozen=True, slots=True)
class Figures:
    """ROI of one scope (organization, repository or team) in one window.

    Pull request figures are a cohort: those merged (or closed) in the window with counted links, each with its
    whole-life counted cost. Cost figures count runs by the time they happened.
    """

    spend: Spend
    merged: int  # n_m
    abandoned: int  # n_c: closed unmerged in the window
    reverted: int  # of the merged
    shared: int  # of the merged, those that also count in another row of the same table
    linked_cost: int  # C_link
    direct_per_merged: int | None  # None: nothing merged
    median: int | None  # None: fewer than 20 merged ("few PRs")
    p90: int | None  # None: fewer than 20 merged
    full_per_merged: int | None  # None: nothing merged
    merge_yield: float | None  # 0 to 1. None: nothing closed, or closed ones not known
    cycle_hours: float | None  # median, first commit to merge. None: no commits known
    break_even_minutes: float | None  # None: hourly cost not set, or nothing merged
    required_hours: float | None  # break-even over the full cost, in hours. None: hourly cost not set
    seats: int | None = None  # C_seat, subscriptions of the window. None: not told of this scope

    @property
    def full_cost(self) -> int:
        """C_all + C_seat."""
        return self.spend.code + (self.seats or 0)


@dataclass(frozen=True, slots=True)
class RoiRow:
    """One repository or team; `id` is None for the row of runs that name none."""

    id: int | None
    name: str
    team: str | None  # None: a team's own row, or a repository without a team
    figures: Figures
    previous: Figures
    trend: tuple[int, ...]  # code cost per day, one value a day of the window: they add up to spend.code


@dataclass(frozen=True, slots=True)
class DaySpend:
    day: date
    merged: int  # direct commits included
    open: int
    abandoned: int  # reverted included
    not_linked: int  # suggested, pending and unlinked
    previous: int  # code cost of the day that many days earlier


@dataclass(frozen=True, slots=True)
class Window:
    """Whole local days, both ends included; `today` is partial when it is the last."""

    start: date
    end: date
    timezone: str

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1


@dataclass(frozen=True, slots=True)
class Filters:
    """What a report is narrowed to; every figure obeys. None: no filter; team or repository 0: runs without one."""

    team_id: int | None = None
    repository_id: int | None = None
    provider: str | None = None


class PullCost(NamedTuple):
    """The counted cost of one closed pull request in one row of a report, over its whole life.

    Times are in milliseconds: a report of a year makes 20,000 of these.
    """

    row: int  # repository or team id, 0: none
    pull_request_id: int
    cost: int
    merged: bool  # else closed unmerged
    ended_at: int  # when merged or closed, since 1970 UTC
    reverted: bool  # merged, and reverted within 30 days or at an unknown time
    cycle: int | None  # from first commit to merge. None: not merged, commits unknown, or committed later
    closed_known: bool = True  # False: its repository's closed pull requests are not known


@dataclass(frozen=True, slots=True)
class PullRequestRow:
    """One pull request with counted links; runs and cost over its whole life."""

    id: int
    number: int
    repository_id: int
    repository: str
    title: str
    outcome: str
    runs: int
    cost: int
    created_at: datetime
    merged_at: datetime | None  # None: not merged
    closed_at: datetime | None  # None: open
    first_commit_at: datetime | None  # None: commits unknown
    author: str | None  # login. None: unknown

    @property
    def cycle_hours(self) -> float | None:
        return hours_between(self.first_commit_at, self.merged_at)


@dataclass(frozen=True, slots=True)
class AssistedShare:
    """Pull requests merged in the window by the strongest sign of AI; a lower bound, since AI may leave no sign."""

    linked: int  # at least one counted link
    declared: int  # no counted link, but a trailer, an agent as author, or a label says so
    none_seen: int

    @property
    def at_least(self) -> float | None:
        """Linked and declared ÷ all merged, 0 to 1. None: nothing merged."""
        merged = self.linked + self.declared + self.none_seen
        return (self.linked + self.declared) / merged if merged else None


@dataclass(frozen=True, slots=True)
class RoiReport:
    window: Window
    comparison: Window
    scope: str  # repository or team
    organization: str
    hourly_cost_cents: int | None  # of the total: the filtered team's, else the organization's. None: not set
    contributors: int  # people with code runs in the window
    total: Figures
    previous: Figures
    rows: tuple[RoiRow, ...]  # the row of none last; dearest first
    unlinked_reasons: Mapping[str, int]  # reason → cost
    days: tuple[DaySpend, ...]
    data_through: datetime | None  # None: no runs at all
    priced_share: float | None  # share of runs with a price, 0 to 1. None: no runs
    exact_share: float | None  # share of runs with exact usage. None: no runs
    assisted: AssistedShare | None = None  # None: filtered by team or provider, which unlinked work does not have
    seats_of: str | None = None  # one of domain/seats.py: whose seats, or why none. None: kept before there were any

    @property
    def seats_of_no_row(self) -> int | None:
        """Seats of the total that are in no row. None: the total has none."""
        if self.total.seats is None:
            return None
        return self.total.seats - sum(row.figures.seats or 0 for row in self.rows)


def percentile(ordered: Sequence[float], permille: int) -> float | None:
    """The value below which that share of an ascending sequence lies, by linear interpolation.

    Hyndman and Fan's type 7, the default of spreadsheets and NumPy: the median of an even count is the mean of the
    middle two. None: no values.
    """
    if not ordered:
        return None
    whole, rest = divmod((len(ordered) - 1) * permille, 1000)
    if rest == 0:
        return ordered[whole]
    return ordered[whole] + (ordered[whole + 1] - ordered[whole]) * rest / 1000


def per_unit(total: int, count: int) -> int | None:
    """A total shared by count, to the nearest nano-dollar; None when there is nothing to share it by."""
    return (2 * total + count) // (2 * count) if count else None


def hours_between(begin: datetime | None, end: datetime | None) -> float | None:
    """Hours of a span, as of first commit to merge; None when either end is unknown or the span is negative."""
    if begin is None or end is None or end < begin:
        return None
    return (end - begin) / timedelta(hours=1)


def break_even_minutes(full_cost: int, merged: int, hourly_cost_cents: int | None) -> float | None:
    """Minutes each merged pull request must save: full cost per merged ÷ hourly cost × 60.

    None: the hourly cost is not set, or nothing merged.
    """
    hours = required_hours(full_cost, hourly_cost_cents)
    return None if hours is None or not merged else hours * 60 / merged


def required_hours(full_cost: int, hourly_cost_cents: int | None) -> float | None:
    """Hours that the full cost buys at the loaded hourly cost; None: the hourly cost is not set."""
    return full_cost / (hourly_cost_cents * NANOS_PER_CENT) if hourly_cost_cents else None


def required_hours_per_week(hours: float | None, contributors: int, days: int) -> float | None:
    """Required hours of one contributor in a week of the window; None: hours unknown, or nobody contributed."""
    return None if hours is None or not contributors else hours / contributors / (days / 7)


def whole_pulls(pulls: Sequence[PullCost]) -> list[PullCost]:
    """Each pull request once, as row 0, with its cost in all rows."""
    whole: dict[int, PullCost] = {}
    for pull in pulls:
        known = whole.get(pull.pull_request_id)
        whole[pull.pull_request_id] = (
            PullCost._make((0, *pull[1:])) if known is None else known._replace(cost=known.cost + pull.cost)
        )
    return list(whole.values())


def shared_pulls(pulls: Iterable[PullCost]) -> frozenset[int]:
    """Ids of the pull requests that count in more than one row."""
    seen: set[int] = set()
    twice: set[int] = set()
    for pull in pulls:
        (twice if pull.pull_request_id in seen else seen).add(pull.pull_request_id)
    return frozenset(twice)


def cohort(pulls: Iterable[PullCost], begin: datetime, end: datetime) -> list[PullCost]:
    """The pull requests merged, or closed unmerged, in [begin, end)."""
    since, until = (round(at.timestamp() * 1000) for at in (begin, end))
    return [pull for pull in pulls if since <= pull.ended_at < until]


def figures(
    spend: Spend,
    pulls: Iterable[PullCost],
    *,
    hourly_cost_cents: int | None,
    shared: frozenset[int] = frozenset(),
    seats: int | None = None,
) -> Figures:
    """The figures of one row from its spend, its seats and its cohort, in which each pull request stands once."""
    full_cost = spend.code + (seats or 0)
    closed = list(pulls)
    merged = [pull for pull in closed if pull.merged]
    abandoned = len(closed) - len(merged)
    linked_cost = sum(pull.cost for pull in merged)
    costs = sorted(pull.cost for pull in merged)
    enough = len(merged) >= FEW_PULL_REQUESTS
    cycle = percentile(sorted(pull.cycle for pull in merged if pull.cycle is not None), 500)
    return Figures(
        spend=spend,
        merged=len(merged),
        abandoned=abandoned,
        reverted=sum(pull.reverted for pull in merged),
        shared=sum(pull.pull_request_id in shared for pull in merged) if shared else 0,
        linked_cost=linked_cost,
        direct_per_merged=per_unit(linked_cost, len(merged)),
        median=_nanos(percentile(costs, 500)) if enough else None,
        p90=_nanos(percentile(costs, 900)) if enough else None,
        full_per_merged=per_unit(full_cost, len(merged)),
        merge_yield=len(merged) / len(closed) if closed and all(pull.closed_known for pull in closed) else None,
        cycle_hours=None if cycle is None else cycle / MILLIS_PER_HOUR,
        break_even_minutes=break_even_minutes(full_cost, len(merged), hourly_cost_cents),
        required_hours=required_hours(full_cost, hourly_cost_cents),
        seats=seats,
    )


def _nanos(value: float | None) -> int | None:
    return None if value is None else round(value)
