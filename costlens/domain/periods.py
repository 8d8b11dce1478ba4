"""Periods of a report: whole local days, and the instants in UTC at which they begin.

A preset is a whole number of weeks, so each weekday meets its like in the period before: 12 months are 364 days
(52 weeks). Dates chosen by hand may break that; their comparison is still of equal length.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from costlens.domain.errors import InvalidInput
from costlens.domain.roi import Window

PRESETS = {"7d": 7, "28d": 28, "91d": 91, "12m": 364}
DEFAULT_PERIOD = "28d"
MAX_DAYS = 1_830  # five years: a longer window is a mistake more often than a question
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2199, 12, 31)


def zone(timezone: str) -> ZoneInfo:
    """The zone of an IANA name; InvalidInput on `timezone` for any other text."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name of a folder, such as `America`
        raise InvalidInput("timezone must be an IANA name such as Europe/Berlin", field="timezone") from error


def parse_day(text: str, field: str) -> date:
    """The date of `YYYY-MM-DD`; InvalidInput on `field` for any other text."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{field} must be a date such as 2026-01-31", field=field) from error


def bounded_day(text: str, field: str) -> date:
    """The same for a day that figures can be asked of: neither before FIRST_DAY nor after LAST_DAY."""
    day = parse_day(text, field)
    if day < FIRST_DAY:
        raise InvalidInput(f"{field} must not be before {FIRST_DAY}", field=field)
    if day > LAST_DAY:
        raise InvalidInput(f"{field} must not be after {LAST_DAY}", field=field)
    return day


def window(
    period: str | None, timezone: str, today: date, *, start: str | None = None, end: str | None = None
) -> Window:
    """The days of a preset that ends today, or from `start` to `end` (both included; no end: today).

    Explicit dates go before the preset, and no preset means 28 days. Raises InvalidInput on `period`, `startDate`,
    `endDate` or `timezone`.
    """
    zone(timezone)
    if start is None and end is None:
        days = PRESETS.get(period or DEFAULT_PERIOD)
        if days is None:
            raise InvalidInput(f"period must be one of {', '.join(PRESETS)}", field="period")
        return last_days(days, timezone, today)
    if start is None:
        raise InvalidInput("startDate is needed where endDate is given", field="startDate")
    first = bounded_day(start, "startDate")
    last = today if end is None else bounded_day(end, "endDate")
    if first > last:
        raise InvalidInput("startDate must not be after endDate", field="startDate")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput(f"The period must not be longer than {MAX_DAYS} days", field="startDate")
    return Window(first, last, timezone)


def last_days(days: int, timezone: str, today: date) -> Window:
    """The last `days` local days, today included."""
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInput(f"days must be from 1 to {MAX_DAYS}", field="days")
    return Window(today - timedelta(days=days - 1), today, timezone)


def previous_window(current: Window) -> Window:
    """The window of equal length that ends the day before."""
    span = timedelta(days=current.days)
    return Window(current.start - span, current.end - span, current.timezone)


def local_day(at: datetime, timezone: str) -> date:
    """The date on the wall of `timezone` at an aware instant."""
    return at.astimezone(zone(timezone)).date()


def day_start(day: date, timezone: str) -> datetime:
    """The UTC instant at which a local day begins.

    Where clocks jump over midnight the day begins at the jump (the offset before it holds for the missing hour);
    where midnight comes twice, at the first.
    """
    return datetime.combine(day, time(), tzinfo=zone(timezone)).astimezone(UTC)


def bounds(span: Window) -> tuple[datetime, datetime]:
    """The half-open span [first, last) of a window in UTC."""
    return day_start(span.start, span.timezone), day_start(span.end + timedelta(days=1), span.timezone)
