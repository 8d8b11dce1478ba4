"""What AI spend may be worth: an estimate from a team's own assumptions, as a range and never as one number.

Value V = r · ρ · H: hourly cost, share of the saved time that turns into work, hours saved (hours per merged pull
request × those merged). ROI % = net ÷ total cost × 100 is DORA's definition; the return multiple is V ÷ C. The figure
is refused where it would speak of too little: see `refusal`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from costlens.domain.errors import InvalidInput
from costlens.domain.roi import FEW_PULL_REQUESTS, NANOS_PER_CENT, percentile

DRAWS = 10_000
SEED = 20_260_101  # fixed: the same figures give the same answer on every machine and day
MIN_COVERAGE = 0.6
DAYS_PER_MONTH = 365.25 / 12
Z95 = 1.959964  # 95 % of a normal distribution lie so many deviations around its mean


@dataclass(frozen=True, slots=True)
class Range:
    """Three values in ascending order."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Survey:
    """What people said: hours saved per merged pull request, their mean, spread and number."""

    mean: float
    deviation: float  # standard deviation of the answers
    answers: int

    @property
    def hours(self) -> Range:
        """The mean with its 95 % interval, not below 0."""
        margin = Z95 * self.deviation / math.sqrt(self.answers)
        return Range(max(0.0, self.mean - margin), self.mean, self.mean + margin)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What an organization or a team believes from a day on. Amounts are cents."""

    hourly_cost_cents: int | None = None  # None: the hourly cost of the team or organization holds
    seats_cents: int = 0  # all seats, a month
    hours: Range | None = None  # saved per merged pull request. None: see survey
    survey: Survey | None = None  # None: no survey; hours or nothing
    recapture: Range = field(default_factory=lambda: Range(0.5, 0.75, 1.0))
    review_hours: float = 0.0  # more review for each merged pull request
    rework_hours: float = 0.0  # for each reverted one
    rollout_cents: int = 0  # training and set-up, shared out evenly over rollout_months
    rollout_months: int = 12

    @property
    def hours_saved(self) -> Range | None:
        """Hours per merged pull request. None: the estimate is off."""
        return self.survey.hours if self.survey else self.hours


@dataclass(frozen=True, slots=True)
class Dated:
    """Assumptions with the day from which they hold."""

    since: date
    assumptions: Assumptions


@dataclass(frozen=True, slots=True)
class Basis:
    """The measured figures that an estimate stands on. Money is nano-dollars."""

    merged: int
    reverted: int
    counted: int  # linked spend: what is certain
    expected: int  # counted and the suggested links by their confidence
    code: int  # all code spend
    seats: int  # of the window
    rollout: int  # of the window
    hourly_cost_cents: int | None  # None: set nowhere

    @property
    def coverage(self) -> float | None:
        """Counted ÷ code spend. None: no code spend."""
        return self.counted / self.code if self.code else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no estimate, and what changes that."""

    code: str  # not_set, no_hourly_cost, nothing_spent, low_coverage, few_pull_requests
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Money in nano-dollars. low pairs little value with much cost, high the other way round."""

    value: Range
    cost: Range  # AI spend and seats, low to high
    net: Range
    roi_percent: Range
    multiple: Range
    drawn_percent: Range  # p10, p50 and p90 of ROI % over the draws
    drawn_net: Range  # the same of net
    probability: float  # share of the draws with ROI above 0


def checked(given: Assumptions) -> Assumptions:
    """The same assumptions. Raises InvalidInput naming the field that nobody can mean."""
    ranges = [("recapture", given.recapture, 1.0)] + ([("hours", given.hours, 1_000.0)] if given.hours else [])
    for name, each, most in ranges:
        if not 0 <= each.low <= each.mid <= each.high <= most:
            raise InvalidInput(f"{name}: low, mid and high rise from 0 to at most {most:g}", field=name)
    if given.survey:
        if not 0 <= given.survey.mean <= 1_000 or not 0 <= given.survey.deviation <= 1_000:
            raise InvalidInput("survey: mean and deviation are hours from 0 to 1,000", field="survey")
        if not 2 <= given.survey.answers <= 1_000_000:
            raise InvalidInput("survey: a mean of fewer than 2 answers has no spread", field="survey")
    if given.hours and given.survey:
        raise InvalidInput("Give hours saved, or a survey, not both", field="survey")
    if given.hourly_cost_cents is not None and not 1 <= given.hourly_cost_cents < 10**8:
        raise InvalidInput("hourlyCost is more than 0 and less than a million dollars", field="hourlyCost")
    for name, cents in (("seatsPerMonth", given.seats_cents), ("rolloutCost", given.rollout_cents)):
        if not 0 <= cents < 10**11:
            raise InvalidInput(f"{name} is from 0 to less than a billion dollars", field=name)
    for name, hours in (("reviewHours", given.review_hours), ("reworkHours", given.rework_hours)):
        if not 0 <= hours <= 1_000:
            raise InvalidInput(f"{name} is from 0 to 1,000", field=name)
    if not 1 <= given.rollout_months <= 120:
        raise InvalidInput("rolloutMonths is from 1 to 120", field="rolloutMonths")
    return given


def refusal(basis: Basis, assumptions: Assumptions, *, min_coverage: float = MIN_COVERAGE) -> Refusal | None:
    """Why an estimate would not be honest here. None: nothing speaks against it."""
    if assumptions.hours_saved is None:
        return Refusal(
            "not_set",
            "Nobody has said how many hours a merged pull request saves.",
            "Set the hours saved, low, mid and high, in Settings → ROI assumptions.",
        )
    if basis.hourly_cost_cents is None:
        return Refusal(
            "no_hourly_cost",
            "The cost of an hour of work is not set.",
            "Set it in Settings → ROI assumptions, or for the organization or team.",
        )
    if basis.code == 0:
        return Refusal("nothing_spent", "There is no code spend in this period.", "Choose another period.")
    coverage = basis.coverage or 0.0
    if coverage < min_coverage:
        return Refusal(
            "low_coverage",
            f"Only {_floor_percent(coverage)} % of code spend is linked to work; below {100 * min_coverage:.0f} % "
            "an ROI would speak of too small a part of it.",
            "Link more of it: the reasons for unlinked spend, each with its fix, stand under the ROI table.",
        )
    if basis.merged < FEW_PULL_REQUESTS:
        return Refusal(
            "few_pull_requests",
            f"Few PRs: {basis.merged} merged with linked spend, and a range needs {FEW_PULL_REQUESTS}.",
            "Choose a longer period, or wait until more is merged.",
        )
    return None


def estimate(basis: Basis, assumptions: Assumptions, *, draws: int = DRAWS, seed: int = SEED) -> Estimate | Refusal:
    """The range that assumptions give to measured figures, or why there is none."""
    if (refused := refusal(basis, assumptions)) is not None:
        return refused
    hours, hourly = assumptions.hours_saved, basis.hourly_cost_cents
    assert hours is not None, "it is refused without"
    assert hourly is not None, "it is refused without"
    hour = hourly * NANOS_PER_CENT
    care = hour * (assumptions.review_hours * basis.merged + assumptions.rework_hours * basis.reverted)
    fixed = care + basis.rollout  # beside what AI itself costs
    recapture = assumptions.recapture
    spend = Range(basis.counted + basis.seats, basis.expected + basis.seats, basis.code + basis.seats)
    value = Range(
        hour * recapture.low * hours.low * basis.merged,
        hour * recapture.mid * hours.mid * basis.merged,
        hour * recapture.high * hours.high * basis.merged,
    )
    # What was saved against what was spent, at their worst, as expected, and at their best.
    cases = ((value.low, spend.high), (value.mid, spend.mid), (value.high, spend.low))
    drawn = draw(hour * basis.merged, hours, recapture, spend, fixed, draws=draws, seed=seed)
    nets = sorted(net for net, _ in drawn)
    percents = sorted(percent for _, percent in drawn)
    return Estimate(
        value=value,
        cost=spend,
        net=Range(*(worth - paid - fixed for worth, paid in cases)),
        roi_percent=Range(*(_percent(worth - paid - fixed, paid + fixed) for worth, paid in cases)),
        multiple=Range(*(worth / paid for worth, paid in cases)),
        drawn_percent=_deciles(percents),
        drawn_net=_deciles(nets),
        probability=sum(net > 0 for net in nets) / len(nets),
    )


def draw(
    scale: float, hours: Range, recapture: Range, spend: Range, fixed: float, *, draws: int = DRAWS, seed: int = SEED
) -> list[tuple[float, float]]:
    """(net, ROI %) of as many independent draws of hours, recapture and spend; `scale` is V of one hour saved."""
    random = Random(seed).random  # the one method whose values are the same in every version of Python
    found = []
    for _ in range(draws):
        worth = scale * triangular(hours, random()) * triangular(recapture, random())
        paid = triangular(spend, random())
        net = worth - paid - fixed
        found.append((net, _percent(net, paid + fixed)))
    return found


def triangular(of: Range, share: float) -> float:
    """The value below which this share of a triangular distribution lies."""
    low, mid, high = of.low, of.mid, of.high
    if high <= low:
        return low
    turn = (mid - low) / (high - low)
    if share < turn:
        return low + math.sqrt(share * (high - low) * (mid - low))
    return high - math.sqrt((1 - share) * (high - low) * (high - mid))


def in_force(dated: Sequence[Dated], day: date) -> Assumptions | None:
    """The assumptions that hold on a day. None: none yet."""
    known = [one for one in dated if one.since <= day]
    return max(known, key=lambda one: one.since).assumptions if known else None


def rollout_of(dated: Sequence[Dated], first: date, last: date) -> int:
    """Nano-dollars of roll-out that fall on first to last day: the cost is shared out evenly over its months.

    A roll-out begins on the day from which its assumptions hold and ends before the next ones that tell another; told
    again later it is the same one, which begins on its first day still.
    """
    ordered = sorted(dated, key=lambda each: each.since)
    until = [*(one.since - timedelta(days=1) for one in ordered[1:]), date.max]
    total, begun = 0.0, dict[tuple[int, int], date]()
    for one, held in zip(ordered, until, strict=False):
        cents, months = one.assumptions.rollout_cents, one.assumptions.rollout_months
        days = max(1, round(months * DAYS_PER_MONTH))
        spread = begun.setdefault((cents, months), one.since) + timedelta(days=days - 1)
        borne = min(last, held, spread) - max(first, one.since)
        total += cents * NANOS_PER_CENT * max(0, borne.days + 1) / days
    return round(total)


def _deciles(ordered: Sequence[float]) -> Range:
    return Range(*(percentile(ordered, permille) or 0.0 for permille in (100, 500, 900)))


def _percent(net: float, cost: float) -> float:
    return net / cost * 100 if cost else 0.0


def _floor_percent(share: float) -> str:
    return f"{math.floor(share * 1000) / 10:.1f}"
