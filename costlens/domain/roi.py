"""The ROI model without assumptions: what AI cost, what it shipped, and the break-even.

Definitions follow DORA (dora.dev, ROI of AI-assisted software development, 2026) and Apache DevLake
(`change_lead_time_calculator`: cycle time). Money is integer nano-dollars throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime


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
    unpriced_runs: int = 0  # their cost is unknown, so no bucket holds it

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
    merge_yield: float | None  # 0 to 1. None: nothing closed
    cycle_hours: float | None  # median, first commit to merge. None: no commits known
    break_even_minutes: float | None  # None: hourly cost not set, or nothing merged
    required_hours: float | None  # break-even over all code spend, in hours. None: hourly cost not set


@dataclass(frozen=True, slots=True)
class RoiRow:
    """One repository or team; `id` is None for the row of runs that name none."""

    id: int | None
    name: str
    team: str | None  # None: a team's own row, or a repository without a team
    figures: Figures
    previous: Figures
    trend: tuple[int, ...]  # code and other cost per day, one value a day of the window


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
class RoiReport:
    window: Window
    comparison: Window
    scope: str  # repository or team
    organization: str
    hourly_cost_cents: int | None  # None: not set
    contributors: int  # people with code runs in the window
    total: Figures
    previous: Figures
    rows: tuple[RoiRow, ...]  # the row of none last; dearest first
    unlinked_reasons: Mapping[str, int]  # reason → cost
    days: tuple[DaySpend, ...]
    data_through: datetime | None  # None: no runs at all
    priced_share: float | None  # share of runs with a price, 0 to 1. None: no runs
    exact_share: float | None  # share of runs with exact usage. None: no runs
