"""Runs and cost over a period as small bars: drawn by the server, so they need no script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from costlens.domain.roi import Window
from costlens.store.run_days import DayOfRuns
from costlens.web.charts import LONGEST_DAILY
from costlens.web.formats import date_range, day, money, number

WIDTH, HEIGHT = 1000, 60  # of the drawing, whatever its size on the page
_LEAST = 1.5  # a bar that is not nothing can be seen


@dataclass(frozen=True, slots=True)
class Step:
    """One day or week."""

    label: str
    url: str  # its runs
    runs: int
    cost: int  # nano-dollars

    @property
    def text(self) -> str:
        """The step in a line."""
        return f"{self.label}: {number(self.runs)} {'run' if self.runs == 1 else 'runs'}, {money(self.cost)}"


@dataclass(frozen=True, slots=True)
class Bars:
    """One of the two drawings, with a bar for each step."""

    title: str
    highest: str  # what the tallest bar stands for
    weekly: bool
    steps: tuple[Step, ...]
    places: tuple[tuple[float, ...], ...]  # x, y, width, height of each bar


def bars_of(window: Window, days: Sequence[DayOfRuns], url_of: Callable[[date, date], str]) -> tuple[Bars, ...]:
    """Cost and runs of each day of a window, or of each week where it is long; weeks are counted back from its end."""
    weekly = window.days > LONGEST_DAILY
    by_day = {each.day: each for each in days}
    steps = tuple(_step(first, last, by_day, url_of) for first, last in _parts(window, 7 if weekly else 1))
    return (
        _bars("AI cost", money, weekly, steps, [step.cost for step in steps]),
        _bars("Runs", number, weekly, steps, [step.runs for step in steps]),
    )


def _parts(window: Window, size: int) -> list[tuple[date, date]]:
    short = window.days % size
    starts = ([0] if short else []) + list(range(short, window.days, size))
    ends = [*starts[1:], window.days]
    return [
        (window.start + timedelta(days=start), window.start + timedelta(days=end - 1))
        for start, end in zip(starts, ends, strict=True)
    ]


def _step(first: date, last: date, by_day: Mapping[date, DayOfRuns], url_of: Callable[[date, date], str]) -> Step:
    found = [by_day[each] for n in range((last - first).days + 1) if (each := first + timedelta(days=n)) in by_day]
    label = day(first) if first == last else date_range(first, last)
    return Step(label, url_of(first, last), sum(one.runs for one in found), sum(one.cost_nanos for one in found))


def _bars(
    title: str, shown: Callable[[int | None], str], weekly: bool, steps: tuple[Step, ...], values: Sequence[int]
) -> Bars:
    highest, slot = max(values, default=0), WIDTH / max(len(values), 1)
    places: list[tuple[float, ...]] = []
    for at, value in enumerate(values):
        height = max(_LEAST, HEIGHT * value / highest) if value > 0 and highest else 0.0
        place = (at * slot + slot * 0.12, HEIGHT - height, slot * 0.76, height)
        places.append(tuple(round(each, 1) for each in place))
    return Bars(title, shown(highest), weekly, steps, tuple(places))
