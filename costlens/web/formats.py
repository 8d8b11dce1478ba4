"""How figures, times and dates are written on a page: pure functions, registered as Jinja filters.

Every formatter writes an unknown value (None) as an en dash.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from costlens.domain.unlinked import words_of
from costlens.domain.written import (
    UNKNOWN,
    change,
    date_range,
    day,
    exact_money,
    hours,
    minutes,
    moment,
    money,
    number,
    number_of,
    percent,
    signed_money,
)

__all__ = ["FILTERS", "date_range", "day", "moment", "money", "number", "number_of"]


def latency(milliseconds: int | None) -> str:
    """A run's latency: "870 ms", and from one second on "41.8 s"."""
    if milliseconds is None:
        return UNKNOWN
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"


def clock(value: datetime | None) -> str:
    """An aware time without year and seconds: "10 Nov, 09:31"."""
    return UNKNOWN if value is None else f"{day(value)}, {value:%H:%M}"


def span(value: float | None) -> str:
    """Hours as people say them: "28 h 23 min", "45 min", "3 d 4 h"."""
    if value is None:
        return UNKNOWN
    minutes = round(value * 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def ordinal(value: int) -> str:
    """A whole number as a rank: "44th", "1st"."""
    ending = "th" if 10 <= value % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def ago(value: datetime | None, now: datetime) -> str:
    """How long before `now`, both aware: "just now", "3 minutes ago"; past 30 days the date."""
    if value is None:
        return UNKNOWN
    age = now - value
    if age < timedelta(minutes=1):
        return "just now"
    if age < timedelta(hours=1):
        return f"{number_of(age // timedelta(minutes=1), 'minute')} ago"
    if age < timedelta(days=1):
        return f"{number_of(age // timedelta(hours=1), 'hour')} ago"
    if age < timedelta(days=31):
        return f"{number_of(age.days, 'day')} ago"
    return f"{day(value)} {value.year}"


def browser(agent: str | None) -> str:
    """A browser's own description of itself in two words: "Firefox on Linux"; else what it begins with."""
    if not agent:
        return "Unknown browser"
    # In this order: most name the others too.
    names = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
    systems = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Mac OS": "macOS"}
    name = next((label for mark, label in names.items() if mark in agent), None)
    system = next((label for mark, label in (systems | {"Linux": "Linux"}).items() if mark in agent), None)
    if name is None:
        return agent[:40]
    return f"{name} on {system}" if system else name


def until(value: datetime, now: datetime) -> str:
    """How long after `now`, both aware: "in 14 minutes", "in a moment"."""
    seconds = int((value - now).total_seconds())
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"in {number_of(seconds // size, noun)}"
    return "in a moment"


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "money": money,
        "exact_money": exact_money,
        "signed_money": signed_money,
        "change": change,
        "percent": percent,
        "hours": hours,
        "minutes": minutes,
        "latency": latency,
        "number": number,
        "number_of": number_of,
        "day": day,
        "moment": moment,
        "clock": clock,
        "span": span,
        "ordinal": ordinal,
        "ago": ago,
        "browser": browser,
        "until": until,
        "unlinked": words_of,
    }
)
