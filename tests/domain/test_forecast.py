"""The forecast: what it says of steady, weekly and growing costs, and how sure it is."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.forecast import forecast

TODAY = date(2026, 11, 24)  # a Tuesday


def weekly(days: int, week: int = 500, weekend: int = 100) -> list[int]:
    """Costs of the days before TODAY."""
    return [weekend if (TODAY - timedelta(days=back)).weekday() >= 5 else week for back in range(days, 0, -1)]


def test_a_weekly_rhythm_goes_on() -> None:
    found = forecast(weekly(84), TODAY)
    assert [cost for _, cost in found.days[:7]] == [500, 500, 500, 100, 100, 500, 500]  # from Wednesday on
    assert found.days[0][0] == TODAY + timedelta(days=1)
    week = found.total(7)
    assert (week.nanos, week.low, week.high, week.error, week.confidence) == (2700, 2700, 2700, 0, 1)
    assert found.trend == "stable"
    assert found.factors == ("Higher weekday usage",)


def test_few_days_are_their_mean_and_say_so() -> None:
    found = forecast([0, 0, 100, 300], TODAY)
    assert {cost for _, cost in found.days} == {200}
    month = found.total(30)
    assert (month.nanos, month.low, month.high, month.error) == (6000, 3000, 9000, None)
    assert month.confidence == 0.5
    assert found.factors == ("Less than two weeks of history",)
    assert found.history == 2  # days before the first cost tell nothing


def test_nothing_is_known() -> None:
    found = forecast([0] * 400, TODAY)
    assert found.total(30).nanos == 0
    assert (found.total(30).confidence, found.trend, found.factors) == (0, "stable", ("No cost is known yet",))


@pytest.mark.parametrize(("step", "trend"), [(40, "up"), (-20, "down"), (0, "stable")])
def test_trends(step: int, trend: str) -> None:
    found = forecast([max(0, 2_000 + step * n) for n in range(60)], TODAY)
    assert found.trend == trend
    if trend != "stable":
        assert f"Usage trending {trend}ward" in found.factors


def test_noise_is_no_trend() -> None:
    assert forecast([1_000, 3_000] * 30, TODAY).trend == "stable"


def test_what_was_hard_to_foresee_has_a_wide_interval() -> None:
    calm, wild = forecast(weekly(120), TODAY), forecast([100, 4_000, 50, 900, 20, 3_000, 700, 10] * 15, TODAY)
    assert calm.total(30).confidence > wild.total(7).confidence
    assert wild.total(7).low < wild.total(7).nanos < wild.total(7).high
    assert (wild.total(7).error or 0) > 0


@given(st.lists(st.integers(0, 10**15), max_size=200), st.integers(1, 90))
def test_always_a_forecast(history: list[int], horizon: int) -> None:
    found = forecast(history, TODAY, horizon=horizon)
    assert len(found.days) >= horizon
    for days in (7, 30, horizon):
        total = found.total(days)
        assert 0 <= total.low <= total.nanos <= total.high
        assert 0 <= total.confidence <= 1
    assert sum(cost for _, cost in found.days[:30]) == found.total(30).nanos
