"""Where a pull request's cost stands among others, and the spans of its course."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from costlens.domain.pulls import Rank

AT = datetime(2026, 11, 23, tzinfo=UTC)


def rank(costs: list[int], cost: int) -> Rank:
    return Rank(AT, AT, costs, cost)


@pytest.mark.parametrize(
    ("cost", "percentile"),
    [
        (10, 2),  # the cheapest of 20, itself by half: 0.5 / 20
        (110, 52),  # 10.5 / 20
        (200, 98),
        (5, 0),  # not among them: still open
        (105, 50),
        (999, 100),
    ],
)
def test_percentile_among_twenty(cost: int, percentile: int) -> None:
    assert rank([10 * n for n in range(1, 21)], cost).percentile == percentile


def test_equal_costs_stand_in_the_middle() -> None:
    assert rank([7] * 20, 7).percentile == 50


def test_the_median_is_that_of_the_roi_pages() -> None:
    assert rank([10 * n for n in range(1, 21)], 10).median == 105
    assert rank([10 * n for n in range(1, 22)], 10).median == 110


def test_fewer_than_twenty_tell_nothing() -> None:
    few = rank(list(range(19)), 3)
    assert (few.percentile, few.median) == (None, None)
