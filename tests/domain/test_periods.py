from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.errors import InvalidInput
from costlens.domain.periods import bounds, day_start, last_days, local_day, previous_window, window
from costlens.domain.roi import Window

TODAY = date(2026, 11, 23)


def test_28_days_include_today() -> None:
    assert window("28d", "UTC", TODAY) == Window(date(2026, 10, 27), TODAY, "UTC")
    assert window(None, "UTC", TODAY) == window("28d", "UTC", TODAY)


@pytest.mark.parametrize(("period", "days"), [("7d", 7), ("28d", 28), ("91d", 91), ("12m", 364)])
def test_the_window_before_a_preset_has_the_same_weekdays(period: str, days: int) -> None:
    current = window(period, "UTC", TODAY)
    before = previous_window(current)

    assert current.days == before.days == days
    assert before.end == current.start - timedelta(days=1)
    assert before.start.weekday() == current.start.weekday()


def test_explicit_dates_are_inclusive_and_go_before_the_preset() -> None:
    assert window("7d", "UTC", TODAY, start="2026-02-01", end="2026-02-28").days == 28
    assert window(None, "UTC", TODAY, start="2026-11-23").days == 1


@pytest.mark.parametrize(
    ("period", "timezone", "start", "end", "field"),
    [
        ("30d", "UTC", None, None, "period"),
        ("", "Mars/Olympus", None, None, "timezone"),
        ("7d", "America", None, None, "timezone"),
        ("7d", "../../etc/passwd", None, None, "timezone"),
        ("7d", "UTC\x00", None, None, "timezone"),
        ("7d", "\ud800", None, None, "timezone"),
        ("7d", "", None, None, "timezone"),
        (None, "UTC", None, "2026-01-01", "startDate"),
        (None, "UTC", "2026-02-30", None, "startDate"),
        (None, "UTC", "20260201", None, "startDate"),
        (None, "UTC", "2026-W05-1", None, "startDate"),
        (None, "UTC", "2026-02-02", "2026-02-01", "startDate"),
        (None, "UTC", "2026-02-02", "tomorrow", "endDate"),
        (None, "UTC", "2026-02-02", "9999-12-31", "endDate"),
        (None, "UTC", "0001-01-01", None, "startDate"),
        (None, "UTC", "2021-11-19", None, "startDate"),  # 1,831 days
    ],
)
def test_what_cannot_be_a_period_is_named(
    period: str | None, timezone: str, start: str | None, end: str | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        window(period, timezone, TODAY, start=start, end=end)
    assert caught.value.field == field


def test_five_years_are_the_longest_window() -> None:
    assert window(None, "UTC", TODAY, start="2021-11-20").days == 1_830
    with pytest.raises(InvalidInput):
        last_days(0, "UTC", TODAY)


@pytest.mark.parametrize(
    ("day", "timezone", "expected"),
    [
        (date(2026, 11, 16), "America/New_York", datetime(2026, 11, 16, 5, tzinfo=UTC)),
        (date(2026, 7, 1), "America/New_York", datetime(2026, 7, 1, 4, tzinfo=UTC)),
        (date(2026, 1, 1), "Asia/Kathmandu", datetime(2025, 12, 31, 18, 15, tzinfo=UTC)),
        (date(2026, 1, 1), "Pacific/Chatham", datetime(2025, 12, 31, 10, 15, tzinfo=UTC)),
        (date(2024, 4, 26), "Africa/Cairo", datetime(2024, 4, 25, 22, tzinfo=UTC)),  # 00:00 jumps to 01:00
        (date(2023, 11, 5), "America/Havana", datetime(2023, 11, 5, 4, tzinfo=UTC)),  # midnight comes twice
    ],
)
def test_a_day_starts_at_local_midnight(day: date, timezone: str, expected: datetime) -> None:
    assert day_start(day, timezone) == expected


def test_a_day_of_changed_clocks_has_23_or_25_hours() -> None:
    spring, autumn = (Window(day, day, "Europe/Berlin") for day in (date(2026, 3, 29), date(2026, 10, 25)))

    assert [(last - first) / timedelta(hours=1) for first, last in map(bounds, (spring, autumn))] == [23, 25]


ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "Africa/Cairo",
         "America/Havana", "America/St_Johns", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Kiritimati"]  # fmt: skip


@given(day=st.dates(date(2012, 1, 1), date(2035, 12, 31)), timezone=st.sampled_from(ZONES))
def test_the_start_is_the_first_moment_of_its_day(day: date, timezone: str) -> None:
    start = day_start(day, timezone)

    assert local_day(start, timezone) == day
    assert local_day(start - timedelta(milliseconds=1), timezone) == day - timedelta(days=1)
