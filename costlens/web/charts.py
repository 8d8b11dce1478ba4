"""From a report to what a chart draws: plain numbers and points, ready for JSON and SVG attributes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from costlens.domain.pulls import Rank
from costlens.domain.roi import DaySpend, RoiReport
from costlens.domain.shown import NANOS
from costlens.web.formats import date_range, day, money

LONGEST_DAILY = 92  # past this many days the bars would be hairlines: one bar a week
SPARK_WIDTH, SPARK_HEIGHT = 84, 18
MODELS_DRAWN = 5  # series of a chart; the others are one

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the spend chart: a day or a week; money in nano-dollars."""

    first: date  # its day, or its week's first
    label: str
    merged: int
    open: int
    abandoned: int
    not_linked: int
    previous: int

    @property
    def total(self) -> int:
        """All code spend of the bar."""
        return self.merged + self.open + self.abandoned + self.not_linked


def is_weekly(report: RoiReport) -> bool:
    """Whether a bar of the spend chart is a week rather than a day."""
    return len(report.days) > LONGEST_DAILY


def bars(report: RoiReport) -> tuple[Bar, ...]:
    """The report's days as bars, oldest first: one a day, or one a week where the window is long."""
    days = report.days
    if not is_weekly(report):
        return tuple(_bar(day(each.day), [each]) for each in days)
    return tuple(
        _bar(date_range(week[0].day, week[0].day + timedelta(days=len(week) - 1)), week) for week in _weeks(days)
    )


def _weeks(days: Sequence[T]) -> list[Sequence[T]]:
    """Whole weeks, counted back from the end, so only the first can be shorter."""
    short = len(days) % 7
    starts = ([0] if short else []) + list(range(short, len(days), 7))
    return [days[start:end] for start, end in zip(starts, [*starts[1:], len(days)], strict=True)]


def spend_chart(report: RoiReport, *, compared: bool) -> dict[str, object]:
    """The JSON of the spend chart: labels, axis ticks and one series of dollars per outcome."""
    drawn = bars(report)
    series = [
        _series("merged", "Merged or direct", [bar.merged for bar in drawn]),
        _series("open", "Open", [bar.open for bar in drawn]),
        _series("abandoned", "Abandoned or reverted", [bar.abandoned for bar in drawn]),
        _series("not_linked", "Suggested, pending, not linked", [bar.not_linked for bar in drawn]),
    ]
    if compared:
        series.append(_series("previous", "Previous", [bar.previous for bar in drawn]))
    first_days = [day(bar.first) for bar in drawn]
    return {
        "labels": [bar.label for bar in drawn],
        "ticks": _ticks(first_days, "this week" if is_weekly(report) else "today"),
        "series": series,
    }


def stacked_chart(days: Sequence[date], series: Sequence[tuple[str, str, Sequence[int]]]) -> dict[str, object]:
    """The JSON of a chart of days: (name, label, nano-dollars a day) of each series, a bar a day or a week."""
    weekly = len(days) > LONGEST_DAILY
    groups = _weeks(days) if weekly else [[each] for each in days]
    drawn = [
        (name, label, [sum(part) for part in _weeks(values)] if weekly else list(values))
        for name, label, values in series
    ]
    return {
        "labels": [date_range(group[0], group[-1]) if weekly else day(group[0]) for group in groups],
        "ticks": _ticks([day(group[0]) for group in groups], "this week" if weekly else "today"),
        "series": [_series(name, label, values) for name, label, values in drawn],
    }


def sparkline(values: Sequence[int]) -> str:
    """The `points` of an SVG polyline over `values`, scaled to SPARK_WIDTH × SPARK_HEIGHT from zero up; "" for none.

    Values are a day each; of a long window a point is a week.
    """
    if not values:
        return ""
    if len(values) > LONGEST_DAILY:
        values = [sum(week) for week in _weeks(values)]
    highest = max(values) or 1
    step = (SPARK_WIDTH - 2) / max(len(values) - 1, 1)
    inner = SPARK_HEIGHT - 2
    return " ".join(f"{1 + at * step:.1f},{1 + inner * (1 - value / highest):.1f}" for at, value in enumerate(values))


def _ticks(labels: Sequence[str], last: str) -> list[str]:
    """Axis labels with room to breathe: every 7th (or every, up to 7 bars), and `last` under the last bar."""
    end = len(labels) - 1
    every = 1 if len(labels) <= 7 else 7 * max(1, round(len(labels) / 52))
    return [
        last if at == end else label if at % every == 0 and (every == 1 or end - at > every // 2) else ""
        for at, label in enumerate(labels)
    ]


def _bar(label: str, days: Sequence[DaySpend]) -> Bar:
    return Bar(
        first=days[0].day,
        label=label,
        merged=sum(each.merged for each in days),
        open=sum(each.open for each in days),
        abandoned=sum(each.abandoned for each in days),
        not_linked=sum(each.not_linked for each in days),
        previous=sum(each.previous for each in days),
    )


def _series(name: str, label: str, nanos: Sequence[int]) -> dict[str, object]:
    """One series in dollars, to a hundredth of a cent: enough for a bar, never used for sums."""
    return {"name": name, "label": label, "values": [round(value / NANOS, 4) for value in nanos]}


@dataclass(frozen=True, slots=True)
class ModelChart:
    """Bars of one day each, by model; money in nano-dollars."""

    series: tuple[tuple[str, str, int], ...]  # key, model, cost of all days
    rows: tuple[tuple[date, list[int], int], ...]  # day, cost of each series, of all

    @property
    def data(self) -> dict[str, object]:
        """The JSON of the chart."""
        labels = [day(first) for first, _, _ in self.rows]
        return {
            "labels": labels,
            "ticks": _ticks(labels, labels[-1]) if labels else [],
            "series": [
                _series(key, model, [costs[place] for _, costs, _ in self.rows])
                for place, (key, model, _) in enumerate(self.series)
            ],
        }


def model_chart(days: Sequence[tuple[date, Mapping[str, int]]]) -> ModelChart:
    """Cost by model of each day with runs; past the dearest models the others are one series."""
    sums: dict[str, int] = {}
    for _, models in days:
        for model, cost in models.items():
            sums[model] = sums.get(model, 0) + cost
    ranked = sorted(sums, key=lambda model: (-sums[model], model))
    drawn = ranked[:MODELS_DRAWN]
    series = [(f"s{place}", model, sums[model]) for place, model in enumerate(drawn, start=1)]
    rows = [(first, [models.get(model, 0) for model in drawn], sum(models.values())) for first, models in days]
    if ranked[MODELS_DRAWN:]:
        series.append(("other", "Other models", sum(sums[model] for model in ranked[MODELS_DRAWN:])))
        rows = [(first, [*costs, whole - sum(costs)], whole) for first, costs, whole in rows]
    return ModelChart(tuple(series), tuple(rows))


DOTS_WIDTH, DOTS_HEIGHT = 480, 150
_COLUMNS, _DOT = 48, 7.6  # of the dot plot: how many, and how far apart


@dataclass(frozen=True, slots=True)
class Dots:
    """Where each pull request stands by its cost, on a log scale; places are of an SVG of DOTS_WIDTH × DOTS_HEIGHT."""

    dots: tuple[tuple[float, float], ...]  # one for each, or for several where they are many
    each: int  # pull requests a dot stands for
    own: tuple[float, float]
    median: float
    ticks: tuple[tuple[float, str], ...]


def dots(rank: Rank) -> Dots | None:
    """The costs of a repository's pull requests as dots in columns, and this one's among them. None: too few."""
    costs = [max(cost, 1) for cost in rank.costs]
    middle = rank.median
    if middle is None:
        return None
    low, high = math.log(min(costs[0], max(rank.cost, 1))), math.log(max(costs[-1], rank.cost, 1))
    width = max(high - low, 1e-9)

    def column(cost: int) -> int:
        return min(int((math.log(max(cost, 1)) - low) / width * _COLUMNS), _COLUMNS - 1)

    def across(cost: int) -> float:
        return round(10 + (column(cost) + 0.5) * (DOTS_WIDTH - 20) / _COLUMNS, 1)

    counts = [0] * _COLUMNS
    for cost in costs:
        counts[column(cost)] += 1
    floor, room = DOTS_HEIGHT - 24, int((DOTS_HEIGHT - 52) / _DOT)
    each = -(-max(counts) // room)
    drawn = tuple(
        (round(10 + (place + 0.5) * (DOTS_WIDTH - 20) / _COLUMNS, 1), round(floor - (level + 0.5) * _DOT, 1))
        for place, count in enumerate(counts)
        for level in range(-(-count // each))
    )
    marks = (costs[0], costs[len(costs) // 4], costs[3 * len(costs) // 4], costs[-1])
    ticks: list[tuple[float, str]] = []
    for cost in marks:
        if not ticks or across(cost) - ticks[-1][0] > 60:
            ticks.append((across(cost), money(cost)))
    own = (across(rank.cost), round(floor - _DOT / 2, 1))
    return Dots(drawn, each, own, across(middle), tuple(ticks))
