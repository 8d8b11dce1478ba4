"""Figures of pull requests and spend made by hand, in whole dollars."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.roi import (
    Cohort,
    Ended,
    Figures,
    Spend,
    break_even_minutes,
    cohorts,
    figures,
    hours_between,
    per_unit,
    percentile,
    required_hours,
    required_hours_per_week,
)

DOLLAR = 1_000_000_000
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)


def ended(*merged: tuple[int, int, float, float | None], **others: Sequence[int]) -> Ended:
    """Of (row, id, dollars, hours from first commit to merge) of the merged."""
    rows, ids, costs, cycles = zip(*merged, strict=True) if merged else ((),) * 4
    return Ended(
        rows,
        ids,
        [round(cost * DOLLAR) for cost in costs],
        [None if hours is None else round(hours * 3_600_000) for hours in cycles],
        **{name: others.get(name, ()) for name in ("abandoned", "reverted", "untold")},
    )


def cohort(*costs: float, **others: Sequence[int]) -> Cohort:
    """Of row 1, whose merged pull requests cost so many dollars."""
    return cohorts(ended(*((1, id, cost, None) for id, cost in enumerate(costs)), **others)).get(1, Cohort())


def test_figures_of_four_pull_requests() -> None:
    spend = Spend(counted=30 * DOLLAR, merged=30 * DOLLAR, pending=8 * DOLLAR, not_code=99 * DOLLAR)
    pulls = ended((1, 1, 4, 10), (1, 2, 6, 40), (1, 3, 9, 20), (2, 2, 1, 40), abandoned=[1], reverted=[1, 1, 2])

    assert figures(spend, cohorts(pulls)[1], hourly_cost_cents=9_500) == Figures(
        spend=spend,
        merged=3,
        abandoned=1,
        reverted=2,
        shared=1,
        linked_cost=19 * DOLLAR,
        direct_per_merged=6_333_333_333,
        median=None,
        p90=None,
        full_per_merged=12_666_666_667,
        merge_yield=0.75,
        cycle_hours=20,
        break_even_minutes=pytest.approx(38 / 3 / 95 * 60),
        required_hours=pytest.approx(0.4),
    )


def test_merge_yield_needs_every_repository_s_closed_pull_requests() -> None:
    assert figures(Spend(), cohort(4, abandoned=[1], untold=[1]), hourly_cost_cents=None).merge_yield is None
    assert figures(Spend(), cohort(4, abandoned=[1], untold=[2]), hourly_cost_cents=None).merge_yield == 0.5


def test_nothing_merged_divides_by_nothing() -> None:
    empty = figures(Spend(unlinked=DOLLAR), cohort(), hourly_cost_cents=9_500)

    assert (empty.direct_per_merged, empty.full_per_merged, empty.merge_yield, empty.cycle_hours) == (None,) * 4
    assert empty.break_even_minutes is None
    assert empty.required_hours == pytest.approx(1 / 95)
    assert figures(Spend(), cohort(abandoned=[1]), hourly_cost_cents=None).merge_yield == 0


def test_the_break_even_of_the_glossary() -> None:
    # $13.76 per merged pull request at $95 an hour is 8.7 minutes.
    assert break_even_minutes(344 * 13_760_000_000, 344, 9_500) == pytest.approx(8.69, abs=0.005)


@pytest.mark.parametrize("hourly", [None, 0])
def test_without_an_hourly_cost_there_is_no_break_even(hourly: int | None) -> None:
    assert break_even_minutes(DOLLAR, 1, hourly) is None
    assert required_hours(DOLLAR, hourly) is None


def test_required_hours_are_spread_over_people_and_weeks() -> None:
    assert required_hours_per_week(49.8, 18, 28) == pytest.approx(0.6917, abs=1e-4)
    assert required_hours_per_week(49.8, 0, 28) is None
    assert required_hours_per_week(None, 18, 28) is None


@pytest.mark.parametrize(("count", "median", "p90"), [(19, None, None), (20, 10.5, 18.1), (21, 11, 19)])
def test_median_and_p90_need_20_pull_requests(count: int, median: float | None, p90: float | None) -> None:
    shown = figures(Spend(), cohort(*range(count, 0, -1)), hourly_cost_cents=None)

    assert shown.median == (None if median is None else median * DOLLAR)
    assert shown.p90 == (None if p90 is None else p90 * DOLLAR)


@given(st.lists(st.integers(0, 10**12), min_size=2))
def test_percentiles_agree_with_the_standard_library(values: list[int]) -> None:
    ordered = sorted(values)

    assert percentile(ordered, 500) == pytest.approx(statistics.median(values))
    assert percentile(ordered, 900) == pytest.approx(statistics.quantiles(values, n=10, method="inclusive")[8])
    assert (percentile(ordered, 0), percentile(ordered, 1000)) == (ordered[0], ordered[-1])


def test_percentile_of_nothing_and_of_one() -> None:
    assert percentile([], 500) is None
    assert percentile([7], 900) == 7


def test_a_share_is_rounded_to_the_nearest_nano_dollar() -> None:
    assert [per_unit(total, 4) for total in (4, 5, 6, 7)] == [1, 1, 2, 2]
    assert per_unit(5, 0) is None


def test_cycle_time_is_unknown_when_a_commit_is_later_than_the_merge() -> None:
    assert hours_between(NOON - timedelta(hours=3), NOON) == 3
    assert hours_between(NOON + timedelta(hours=1), NOON) is None
    assert hours_between(None, NOON) is None
    assert hours_between(NOON, None) is None


def test_a_pull_request_of_two_rows_is_shared_by_both() -> None:
    found = cohorts(ended((1, 1, 4, None), (2, 1, 6, None), (2, 2, 1, 3)))

    assert found == {
        1: Cohort(costs=[4 * DOLLAR], shared=1),
        2: Cohort(costs=[6 * DOLLAR, DOLLAR], cycles=[3 * 3_600_000], shared=1),
    }


def test_spend_adds_bucket_by_bucket() -> None:
    parts = Spend(*range(1, 14)), Spend(*range(100, 1400, 100))

    assert parts[0] + parts[1] == Spend(*(n + n * 100 for n in range(1, 14)))
