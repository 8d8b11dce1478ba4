"""What a pull request's page tells besides its money: its course, its place among others, and its signs of AI.

Spans follow Apache DevLake (`change_lead_time_calculator`): coding, pickup and review.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.domain.roi import FEW_PULL_REQUESTS, hours_between, percentile

RANK_DAYS = 91  # how far back from its merge a pull request is compared

MARKS = ("ai", "manual")


@dataclass(frozen=True, slots=True)
class Review:
    """One review, as the timeline needs it."""

    person_id: int | None  # None: the account is gone
    name: str | None  # None: no name is known
    bot: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Timeline:
    """First commit → opened → first review → merged, and the hours between them; a negative span is None."""

    first_commit_at: datetime | None  # None: commits unknown
    created_at: datetime
    reviewed_at: datetime | None  # None: no review by another person is known
    reviewer: str | None  # None: as reviewed_at, or no name is known
    merged_at: datetime | None  # None: not merged
    closed_at: datetime | None  # None: open

    @property
    def coding(self) -> float | None:
        return hours_between(self.first_commit_at, self.created_at)

    @property
    def pickup(self) -> float | None:
        return hours_between(self.created_at, self.reviewed_at)

    @property
    def review(self) -> float | None:
        return hours_between(self.reviewed_at, self.merged_at)

    @property
    def cycle(self) -> float | None:
        return hours_between(self.first_commit_at, self.merged_at)


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a cost stands among those of the repository's merged pull requests."""

    since: datetime
    until: datetime
    costs: Sequence[int]  # nano-dollars of each, rising; if this one is merged, its own too
    cost: int

    @property
    def percentile(self) -> int | None:
        """Share of `costs` below this one, ties and so itself by half, 0 to 100. None: too few to tell."""
        if len(self.costs) < FEW_PULL_REQUESTS:
            return None
        below, upto = bisect_left(self.costs, self.cost), bisect_right(self.costs, self.cost)
        return round(100 * (below + upto) / 2 / len(self.costs))

    @property
    def median(self) -> int | None:
        """The cost in the middle. None: too few to tell."""
        middle = percentile(self.costs, 500) if len(self.costs) >= FEW_PULL_REQUESTS else None
        return None if middle is None else round(middle)


@dataclass(frozen=True, slots=True)
class AiState:
    """Whether AI took part, by the strongest reason: linked runs, then a visible sign; a person's word before both."""

    linked: bool
    sign: str | None  # None: none was seen
    mark: str | None  # ai, manual. None: nobody said

    @property
    def state(self) -> str:
        """linked, declared or none_seen, as the assisted share counts it."""
        if self.mark == "manual":
            return "none_seen"
        if self.linked:
            return "linked"
        return "declared" if self.sign or self.mark == "ai" else "none_seen"


def timeline(
    first_commit_at: datetime | None,
    created_at: datetime,
    merged_at: datetime | None,
    closed_at: datetime | None,
    author: int | None,
    reviews: Iterable[Review],
) -> Timeline:
    """The course of a pull request; the author's own reviews, bots' and those after the end are left out."""
    end = merged_at or closed_at
    told = [
        one
        for one in reviews
        if not one.bot and (one.person_id is None or one.person_id != author) and (end is None or one.at <= end)
    ]
    first = min(told, key=lambda one: one.at, default=None)
    return Timeline(
        first_commit_at, created_at, first.at if first else None, first.name if first else None, merged_at, closed_at
    )


def rank_window(merged_at: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The time whose merged pull requests one is compared with, until its own merge or now; both ends included."""
    until = merged_at or now
    return until - timedelta(days=RANK_DAYS), until
