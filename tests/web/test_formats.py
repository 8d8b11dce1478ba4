from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from costlens.web import formats

NOW = datetime(2026, 11, 23, 10, 26, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (1_234_560_000_000, "$1,234.56"),
        (10_000_000, "$0.01"),
        (1_005_000_000, "$1.01"),  # half a cent rounds up, exactly
        (999_999_999, "$1.00"),
        (4_200_000, "$0.0042"),
        (42_000, "$0.000042"),
        (1, "$0.000000001"),
        (0, "$0.00"),
        (-45_790_000_000, "\u2212$45.79"),
        (-4_200_000, "\u2212$0.0042"),
        (None, "–"),
    ],
)
def test_money(nanos: int | None, text: str) -> None:
    assert formats.money(nanos) == text


def test_money_is_exact_where_floats_are_not() -> None:
    assert formats.money(9_007_199_254_740_993_000_000_000) == "$9,007,199,254,740,993.00"


def test_exact_money_shows_every_nano_dollar() -> None:
    assert formats.exact_money(251_306_400) == "$0.251306400"
    assert formats.exact_money(-1) == "\u2212$0.000000001"
    assert formats.exact_money(None) == "–"


def test_signed_money() -> None:
    assert formats.signed_money(73_940_000_000) == "+$73.94"
    assert formats.signed_money(-45_790_000_000) == "\u2212$45.79"
    assert formats.signed_money(0) == "$0.00"
    assert formats.signed_money(None) == "–"


def test_change() -> None:
    assert formats.change(555_831, 524_045) == "+6.1 %"
    assert formats.change(50, 100) == "\u221250.0 %"
    assert formats.change(100_001, 100_000) == "unchanged"
    assert formats.change(1, 0) == "new"
    assert formats.change(0, 0) == "unchanged"


def test_percent() -> None:
    assert formats.percent(0.7716) == "77.2 %"
    assert formats.percent(1.0) == "100.0 %"
    assert formats.percent(0.99999) == "99.9 %"
    assert formats.percent(0.0) == "0.0 %"
    assert formats.percent(None) == "–"


def test_times() -> None:
    assert formats.hours(22.14) == "22.1 h"
    assert formats.hours(None) == "–"
    assert formats.minutes(8.69) == "8.7 min"
    assert formats.minutes(None) == "–"
    assert formats.latency(870) == "870 ms"
    assert formats.latency(41_812) == "41.8 s"
    assert formats.latency(None) == "–"


def test_numbers() -> None:
    assert formats.number(21_480) == "21,480"
    assert formats.number(-3) == "\u22123"
    assert formats.number(None) == "–"
    assert formats.number_of(1, "PR") == "1 PR"
    assert formats.number_of(46, "PR") == "46 PRs"
    assert formats.number_of(2, "repository", "repositories") == "2 repositories"


def test_date_range_names_each_part_once() -> None:
    end = date(2026, 11, 23)
    assert formats.date_range(date(2026, 10, 27), end) == "27 Oct – 23 Nov 2026"
    assert formats.date_range(date(2026, 11, 17), end) == "17 – 23 Nov 2026"
    assert formats.date_range(date(2025, 11, 24), end) == "24 Nov 2025 – 23 Nov 2026"
    assert formats.date_range(end, end) == "23 Nov 2026"


def test_moment_and_ago() -> None:
    assert formats.moment(NOW) == "23 Nov 2026, 10:26:41 UTC"
    assert formats.moment(None) == "–"
    assert formats.ago(NOW - timedelta(seconds=30), NOW) == "just now"
    assert formats.ago(NOW + timedelta(seconds=30), NOW) == "just now"  # a caller's clock may be ahead
    assert formats.ago(NOW - timedelta(minutes=1), NOW) == "1 minute ago"
    assert formats.ago(NOW - timedelta(hours=23), NOW) == "23 hours ago"
    assert formats.ago(NOW - timedelta(days=3), NOW) == "3 days ago"
    assert formats.ago(NOW - timedelta(days=40), NOW) == "14 Oct 2026"
    assert formats.ago(None, NOW) == "–"
