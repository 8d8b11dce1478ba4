"""The ROI model without assumptions: what AI cost, what it shipped, and the break-even.

Definitions follow DORA (dora.dev, ROI of AI-assisted software development, 2026) and Apache DevLake
(`change_lead_time_calculator`: cycle time). Money is integer nano-dollars throughout.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


class Ended(NamedTuple):
    """The pull requests with counted cost that ended in a window, once in each row of a report, as columns.

    A year has 20,000 of them, and an object for each would take longer than all else. Cost is counted over the whole
    life, times are in milliseconds; a row is a repository or team id, 0: none.
    """

    rows: Sequence[int]  # these four: of each that was merged
    ids: Sequence[int]
    costs: Sequence[int]
    cycles: Sequence[int | None]  # from first commit to merge. None: commits unknown, or committed later
    abandoned: Sequence[int]  # the row of each that was closed unmerged
    reverted: Sequence[int]  # the row of each that was merged, and reverted within 30 days or at an unknown time
    untold: Sequence[int]  # the row of each in a repository whose closed pull requests are not known


@dataclass(slots=True)
class Cohort:
    """What a row's figures need of the pull requests that were merged, or closed unmerged, in a window.

    In which each of them stands once.
    """

    costs: list[int] = field(default_factory=list)  # of the merged
    cycles: list[int] = field(default_factory=list)  # of the merged, where known
    abandoned: int = 0
    reverted: int = 0
    shared: int = 0  # of the merged, those that are in other rows too
    closed_known: bool = True  # False: one is of a repository whose closed pull requests are not known

    @property
    def closed(self) -> int:
        """Merged or closed unmerged."""
        return len(self.costs) + self.abandoned


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
    def estimated(self) -> bool:
        """Whether the usage of some runs is not exact, so that their cost is an estimate."""
        return self.exact_share is not None and self.exact_share < 1

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


def cohorts(ended: Ended) -> dict[int, Cohort]:
    """What the figures of each row need."""
    found: dict[int, Cohort] = defaultdict(Cohort)
    times = Counter(ended.ids)
    if len(times) < len(ended.ids):
        for row, id in zip(ended.rows, ended.ids, strict=True):
            if times[id] > 1:
                found[row].shared += 1
    costs: dict[int, list[int]] = defaultdict(list)
    cycles: dict[int, list[int]] = defaultdict(list)
    for row, cost, cycle in zip(ended.rows, ended.costs, ended.cycles, strict=True):
        costs[row].append(cost)
        if cycle is not None:
            cycles[row].append(cycle)
    for row in costs:
        found[row].costs, found[row].cycles = costs[row], cycles[row]
    for row in ended.abandoned:
        found[row].abandoned += 1
    for row in ended.reverted:
        found[row].reverted += 1
    for row in ended.untold:
        found[row].closed_known = False
    return dict(found)


def figures(spend: Spend, cohort: Cohort, *, hourly_cost_cents: int | None, seats: int | None = None) -> Figures:
    """The figures of one row from its spend, its seats and its cohort."""
    full_cost = spend.code + (seats or 0)
    merged, linked_cost = len(cohort.costs), sum(cohort.costs)
    costs = sorted(cohort.costs)
    enough = merged >= FEW_PULL_REQUESTS
    cycle = percentile(sorted(cohort.cycles), 500)
    return Figures(
        spend=spend,
        merged=merged,
        abandoned=cohort.abandoned,
        reverted=cohort.reverted,
        shared=cohort.shared,
        linked_cost=linked_cost,
        direct_per_merged=per_unit(linked_cost, merged),
        median=_nanos(percentile(costs, 500)) if enough else None,
        p90=_nanos(percentile(costs, 900)) if enough else None,
        full_per_merged=per_unit(full_cost, merged),
        merge_yield=merged / cohort.closed if cohort.closed and cohort.closed_known else None,
        cycle_hours=None if cycle is None else cycle / MILLIS_PER_HOUR,
        break_even_minutes=break_even_minutes(full_cost, merged, hourly_cost_cents),
        required_hours=required_hours(full_cost, hourly_cost_cents),
        seats=seats,
    )


def _nanos(value: float | None) -> int | None:
    return None if value is None else round(value)
