"""What the next days will cost, from the days before: a simple engine with honest intervals.

Fewer than 14 days: their mean. From then on the mean of three forecasts by weekday: the mean of its last 4, the median
of its last 8, and its usual share of a day times the level of the last 14 days. Intervals come from how wrong the same
engine was on the past. A stronger engine may stand behind `forecast` without any caller changing.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

FEW_DAYS = 14
ORIGINS = 8  # moments of the past from which the engine is tried
_UNSURE = 0.5  # half-width of the interval, as a share, while there is too little history to measure it
_BAND = 0.8

Trend = Literal["up", "down", "stable"]


@dataclass(frozen=True, slots=True)
class Total:
    """What a span of days to come will cost, in nano-dollars, with the interval that holds it in 4 of 5 cases."""

    nanos: int
    low: int
    high: int
    error: float | None  # mean relative error of such totals on the past. None: too little history to try

    @property
    def confidence(self) -> float:
        """1 − half-width ÷ forecast, 0 to 1."""
        if not self.nanos:
            return 0.0
        return round(min(1.0, max(0.0, 1 - (self.high - self.low) / 2 / self.nanos)), 2)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Days to come, the first of them tomorrow."""

    days: tuple[tuple[date, int], ...]  # nano-dollars
    history: int  # days that it is made of
    trend: Trend
    factors: tuple[str, ...]  # what moves it, in words
    errors: dict[int, tuple[float, ...]]  # signed relative errors on the past, by length of the span

    def total(self, days: int) -> Total:
        """The sum of the first so many days."""
        nanos = sum(cost for _, cost in self.days[:days])
        errors = self.errors.get(days) or self.errors.get(min(self.errors, key=lambda n: abs(n - days), default=0), ())
        if len(errors) < 3:
            half = round(nanos * _UNSURE)
            return Total(nanos, nanos - half, nanos + half, None)
        sizes = sorted(map(abs, errors))
        half = round(nanos * sizes[min(len(sizes) - 1, int(_BAND * len(sizes)))])
        return Total(nanos, max(0, nanos - half), nanos + half, round(statistics.fmean(sizes), 3))


def forecast(history: Sequence[int], today: date, *, horizon: int = 30) -> Forecast:
    """A forecast from daily nano-dollars, the last of them yesterday's; days before the first cost are left out."""
    start = next((place for place, cost in enumerate(history) if cost), len(history))
    known = list(history[start:])
    first = today - timedelta(days=len(known))
    days = [today + timedelta(days=n) for n in range(1, max(horizon, 30) + 1)]
    costs = _predict(known, first, days)
    errors = {span: _errors(known, first, span) for span in (7, 30)}
    trend = _trend(known)
    return Forecast(
        tuple(zip(days, costs, strict=True)),
        len(known),
        trend,
        _factors(known, first, trend),
        {span: found for span, found in errors.items() if found},
    )


def _predict(known: Sequence[int], first: date, days: Sequence[date]) -> list[int]:
    if not known:
        return [0] * len(days)
    if len(known) < FEW_DAYS:
        return [round(statistics.fmean(known))] * len(days)
    by_weekday: dict[int, list[int]] = {}
    for place, cost in enumerate(known[-56:], len(known) - len(known[-56:])):
        by_weekday.setdefault((first + timedelta(days=place)).weekday(), []).append(cost)
    usual = statistics.fmean(known[-56:])
    level = statistics.fmean(known[-14:])
    found = {}
    for weekday, costs in by_weekday.items():
        share = statistics.fmean(costs) / usual if usual else 0.0
        found[weekday] = round((statistics.fmean(costs[-4:]) + statistics.median(costs[-8:]) + share * level) / 3)
    return [found[day.weekday()] for day in days]


def _errors(known: Sequence[int], first: date, span: int) -> tuple[float, ...]:
    """How wrong the engine was on sums of so many days: (said − was) ÷ was, from moments a week apart."""
    found = []
    for back in range(ORIGINS):
        end = len(known) - 7 * back - span
        if end < FEW_DAYS:
            break
        actual = sum(known[end : end + span])
        if actual:
            days = [first + timedelta(days=end + n) for n in range(span)]
            found.append(sum(_predict(known[:end], first, days)) / actual - 1)
    return tuple(found)


def _trend(known: Sequence[int]) -> Trend:
    """Up or down where the last two weeks differ from the two before by more than chance and 5 %."""
    if len(known) < 2 * FEW_DAYS:
        return "stable"
    now, before = known[-14:], known[-28:-14]
    change = statistics.fmean(now) - statistics.fmean(before)
    noise = 1.28 * ((statistics.variance(now) + statistics.variance(before)) / 14) ** 0.5
    if abs(change) <= max(noise, 0.05 * statistics.fmean(before)):
        return "stable"
    return "up" if change > 0 else "down"


def _factors(known: Sequence[int], first: date, trend: Trend) -> tuple[str, ...]:
    if not known:
        return ("No cost is known yet",)
    found = []
    if len(known) < FEW_DAYS:
        found.append("Less than two weeks of history")
    if trend != "stable":
        found.append(f"Usage trending {trend}ward")
    days = [(first + timedelta(days=place), cost) for place, cost in enumerate(known)][-56:]
    weekend = [cost for day, cost in days if day.weekday() >= 5]
    week = [cost for day, cost in days if day.weekday() < 5]
    if len(weekend) >= 2 and len(week) >= 5:
        usual, off = statistics.fmean(week), statistics.fmean(weekend)
        if usual > 1.2 * off:
            found.append("Higher weekday usage")
        elif off > 1.2 * usual:
            found.append("Higher weekend usage")
    return tuple(found) or ("Usage is steady",)
