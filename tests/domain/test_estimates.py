"""The estimate of a return, against what can be worked out by hand or in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.estimates import (
    Assumptions,
    Basis,
    Dated,
    Estimate,
    Range,
    Refusal,
    Survey,
    draw,
    estimate,
    in_force,
    rollout_of,
    triangular,
)
from costlens.domain.seats import seats_of

DOLLAR = 1_000_000_000
FIXED = Range(1.0, 1.0, 1.0)
BASIS = Basis(
    merged=50, reverted=4, counted=600 * DOLLAR, expected=700 * DOLLAR, code=900 * DOLLAR, seats=100 * DOLLAR,
    rollout=50 * DOLLAR, hourly_cost_cents=10_000,
)  # fmt: skip
ASSUMED = Assumptions(hours=Range(0.2, 0.5, 1.0), review_hours=0.02, rework_hours=1.0)


def test_low_mid_and_high() -> None:
    found = estimate(BASIS, ASSUMED)
    assert isinstance(found, Estimate)
    # V = $100 · ρ · hours · 50; C = spend + $100 seats; care = $100 · (0.02 · 50 + 1 · 4) = $500; roll-out $50
    assert found.value == Range(500 * DOLLAR, pytest.approx(1_875 * DOLLAR), 5_000 * DOLLAR)
    assert found.cost == Range(700 * DOLLAR, 800 * DOLLAR, 1_000 * DOLLAR)
    assert found.net == Range(-1_050 * DOLLAR, pytest.approx(525 * DOLLAR), 3_750 * DOLLAR)
    assert found.roi_percent.low == pytest.approx(-1_050 / 1_550 * 100)
    assert found.roi_percent.mid == pytest.approx(525 / 1_350 * 100)
    assert found.roi_percent.high == pytest.approx(3_750 / 1_250 * 100)
    assert found.multiple == Range(0.5, pytest.approx(1_875 / 800), pytest.approx(5_000 / 700))
    assert found.roi_percent.low < found.drawn_percent.low < found.drawn_percent.mid < found.drawn_percent.high
    assert found.drawn_percent.high < found.roi_percent.high
    assert 0 < found.probability < 1
    assert estimate(BASIS, ASSUMED) == found  # seeded
    assert estimate(BASIS, ASSUMED, seed=7) != found


def test_draws_have_the_mean_of_the_closed_form() -> None:
    hours, recapture, spend = Range(0.2, 0.5, 1.0), Range(0.5, 0.75, 1.0), Range(600.0, 700.0, 900.0)
    nets = [net for net, _ in draw(5_000, hours, recapture, spend, 550)]
    mean = 5_000 * (0.2 + 0.5 + 1.0) / 3 * 0.75 - (600 + 700 + 900) / 3 - 550  # products of independent means
    deviation = math.sqrt(fmean((net - mean) ** 2 for net in nets))
    assert fmean(nets) == pytest.approx(mean, abs=4 * deviation / math.sqrt(len(nets)))

    # Var of a triangular: (a² + b² + c² − ab − ac − bc) / 18; of a product of two independent: from the squares
    def square(of: Range) -> float:
        a, b, c = of.low, of.mid, of.high
        return (a * a + b * b + c * c - a * b - a * c - b * c) / 18 + ((a + b + c) / 3) ** 2

    product = square(hours) * square(recapture) - ((1.7 / 3) * 0.75) ** 2
    variance = 5_000**2 * product + square(spend) - (2_200 / 3) ** 2
    assert deviation == pytest.approx(math.sqrt(variance), rel=0.03)


def test_quantiles_and_probability_of_one_uncertain_input() -> None:
    """With only the hours uncertain, net is a shifted triangular, whose quantiles and shares are known."""
    hours = Range(1.0, 2.0, 5.0)
    only = replace(BASIS, counted=600 * DOLLAR, expected=600 * DOLLAR, code=600 * DOLLAR, seats=0, rollout=0)
    found = estimate(only, Assumptions(hours=hours, recapture=Range(0.06, 0.06, 0.06)))
    assert isinstance(found, Estimate)
    # V = $100 · 0.06 · 50 · h = $300 h; net > 0 where h > 2. F(2) = (2 − 1)² / ((5 − 1)(2 − 1)) = 1/4
    assert found.probability == pytest.approx(0.75, abs=0.02)
    for share, drawn in ((0.1, found.drawn_net.low), (0.5, found.drawn_net.mid), (0.9, found.drawn_net.high)):
        exact = 1 + math.sqrt(share * 4) if share < 0.25 else 5 - math.sqrt((1 - share) * 4 * 3)
        assert drawn / DOLLAR == pytest.approx(300 * exact - 600, abs=15)


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3).map(sorted), st.floats(0, 1), st.floats(0, 1))
def test_triangular_stays_inside_and_rises(values: list[float], one: float, two: float) -> None:
    of = Range(*values)
    low, high = triangular(of, min(one, two)), triangular(of, max(one, two))
    assert of.low - 1e-9 <= low <= high + 1e-9
    assert high <= of.high + 1e-9


@pytest.mark.parametrize(
    ("basis", "assumed", "code"),
    [
        (BASIS, replace(ASSUMED, hours=None), "not_set"),
        (replace(BASIS, hourly_cost_cents=None), ASSUMED, "no_hourly_cost"),
        (replace(BASIS, counted=0, expected=0, code=0), ASSUMED, "nothing_spent"),
        (replace(BASIS, counted=539 * DOLLAR), ASSUMED, "low_coverage"),
        (replace(BASIS, merged=19), ASSUMED, "few_pull_requests"),
    ],
)
def test_refusals_say_why_and_what_helps(basis: Basis, assumed: Assumptions, code: str) -> None:
    found = estimate(basis, assumed)
    assert isinstance(found, Refusal)
    assert found.code == code
    assert found.reason
    assert found.fix


def test_the_edges_of_the_refusals() -> None:
    assert isinstance(estimate(replace(BASIS, counted=540 * DOLLAR), ASSUMED), Estimate)  # 60 %
    assert isinstance(estimate(replace(BASIS, merged=20), ASSUMED), Estimate)
    low = estimate(replace(BASIS, counted=539_999_999_999), ASSUMED)
    assert isinstance(low, Refusal)
    assert "below 60 %" in low.reason
    assert "59.9 %" in low.reason  # not rounded up to the 60 % that it misses


def test_a_survey_becomes_a_range() -> None:
    hours = Survey(mean=1.0, deviation=0.5, answers=25).hours
    assert hours == Range(pytest.approx(0.804, abs=0.001), 1.0, pytest.approx(1.196, abs=0.001))
    assert Survey(mean=0.1, deviation=2.0, answers=4).hours.low == 0


def test_assumptions_hold_from_their_day() -> None:
    first, second = Assumptions(seats_cents=36_525), Assumptions(seats_cents=73_050)
    dated = [Dated(date(2026, 3, 11), second), Dated(date(2026, 3, 1), first)]
    assert in_force(dated, date(2026, 2, 28)) is None
    assert in_force(dated, date(2026, 3, 10)) is first
    assert in_force(dated, date(2026, 3, 11)) is second
    # $365.25 a month are $12 a day: 10 days of it, then 5 of twice as much; nothing before
    assert seats_of(dated, date(2026, 2, 20), date(2026, 3, 15)) == (10 * 12 + 5 * 24) * DOLLAR


def test_rollout_is_shared_out_over_its_months() -> None:
    told = Assumptions(rollout_cents=36_500, rollout_months=12)  # 365 days: $1 a day
    dated = [Dated(date(2026, 1, 1), told), Dated(date(2026, 6, 1), replace(told, seats_cents=5))]
    assert rollout_of(dated, date(2026, 1, 1), date(2026, 12, 31)) == 365 * DOLLAR
    assert rollout_of(dated, date(2025, 12, 1), date(2026, 1, 10)) == 10 * DOLLAR
    assert rollout_of(dated, date(2026, 12, 25), date(2027, 1, 31)) == 7 * DOLLAR
    assert rollout_of([], date(2026, 1, 1), date(2026, 12, 31)) == 0


def test_a_rollout_ends_before_another_begins() -> None:
    wrong = Assumptions(rollout_cents=365_000, rollout_months=12)  # 365 days: $10 a day
    right = replace(wrong, rollout_cents=36_500)
    year = date(2026, 1, 1), date(2026, 12, 31)
    corrected = [Dated(date(2026, 1, 1), wrong), Dated(date(2026, 1, 11), right)]
    assert rollout_of(corrected, *year) == (10 * 10 + 355 * 1) * DOLLAR
    assert rollout_of(corrected, date(2026, 1, 10), date(2026, 1, 12)) == (10 + 2) * DOLLAR
    ended = [Dated(date(2026, 1, 1), right), Dated(date(2026, 1, 11), Assumptions())]
    assert rollout_of(ended, *year) == 10 * DOLLAR


def test_a_rollout_told_again_is_not_a_second_one() -> None:
    told = Assumptions(rollout_cents=36_500, rollout_months=12)
    dated = [Dated(date(2026, 1, 1), told), Dated(date(2026, 1, 11), Assumptions()), Dated(date(2026, 1, 21), told)]
    assert rollout_of(dated, date(2026, 1, 1), date(2026, 12, 31)) == (10 + 345) * DOLLAR
    assert rollout_of(dated, date(2026, 1, 9), date(2026, 1, 22)) == (2 + 2) * DOLLAR
    assert rollout_of(dated, date(2027, 1, 1), date(2027, 12, 31)) == 0
