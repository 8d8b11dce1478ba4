"""What a run adds to the sums."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.store.rollups import Change, latency_step, ledger_rows, quarter

RUN: dict[str, Any] = {
    "team_id": 4,
    "repository_id": 7,
    "provider": "openai",
    "cost_nanos": 10,
    "link_state": "counted",
    "unlinked_reason": None,
    "occurred_at": datetime(2026, 3, 9, 18, 20, tzinfo=UTC),
}


def link(cost: int, pull: int | None = 1, state: str = "counted", repository: int = 7) -> dict[str, Any]:
    return {"state": state, "cost_nanos": cost, "pull_request_id": pull, "repository_id": repository}


def test_a_counted_run_is_one_row_at_its_pull_request() -> None:
    assert ledger_rows(RUN, [link(10)]) == [((4, 7, "openai", "counted", "", 1), [1, 1, 10])]


def test_a_split_run_is_counted_once_and_keeps_every_nano_dollar() -> None:
    rows = ledger_rows(RUN, [link(4, 1), link(3, 2), link(3, 3)])
    assert [(key[-1], sums) for key, sums in rows] == [(1, [1, 1, 4]), (2, [0, 0, 3]), (3, [0, 0, 3])]


def test_a_commit_outside_any_pull_request_is_number_0() -> None:
    assert ledger_rows(RUN, [link(10, None)]) == [((4, 7, "openai", "counted", "", 0), [1, 1, 10])]


def test_a_run_without_repository_counts_where_its_pull_request_is() -> None:
    run = RUN | {"repository_id": None, "team_id": None}
    assert ledger_rows(run, [link(10, 1, repository=9)]) == [((0, 9, "openai", "counted", "", 1), [1, 1, 10])]


@pytest.mark.parametrize("state", ["suggested", "pending", "unlinked", "not_code"])
def test_money_that_no_link_counts_is_where_the_state_says(state: str) -> None:
    run = RUN | {"link_state": state, "unlinked_reason": "no_repo" if state == "unlinked" else None}
    reason = "no_repo" if state == "unlinked" else ""
    for links in ([], [link(0, 1, "suggested")], [link(0, 1, "unlinked")]):
        assert ledger_rows(run, links) == [((4, 7, "openai", state, reason, 0), [1, 1, 10])]


def test_an_unpriced_run_is_counted_as_such() -> None:
    assert ledger_rows(RUN | {"cost_nanos": None}, [link(0)]) == [((4, 7, "openai", "counted", "", 1), [1, 0, 0])]


@given(st.integers(0, 10**9), st.integers(1, 9))
def test_rows_always_sum_to_the_run(cost: int, parts: int) -> None:
    share, rest = divmod(cost, parts)
    links = [link(share + (n < rest), n + 1) for n in range(parts)]
    rows = ledger_rows(RUN | {"cost_nanos": cost}, links)
    assert [sum(column) for column in zip(*(sums for _, sums in rows), strict=True)] == [1, 1, cost]


@given(st.integers(2, 10**9))
def test_a_latency_is_told_within_five_percent(milliseconds: int) -> None:
    step = latency_step(milliseconds)
    middle = math.sqrt(1.1**step * 1.1 ** (step + 1))
    assert abs(middle / milliseconds - 1) < 0.05
    assert latency_step(milliseconds - 1) <= step <= latency_step(milliseconds + 1)


def test_the_shortest_latencies_share_the_first_step() -> None:
    assert [latency_step(milliseconds) for milliseconds in (0, 1)] == [0, 0]


@given(st.datetimes(datetime(2015, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware
def test_a_quarter_holds_its_moment(at: datetime) -> None:
    start = quarter(at)
    assert timedelta() <= at - start < timedelta(minutes=15)
    assert (start.minute % 15, start.second, start.microsecond) == (0, 0, 0)


def test_days_are_those_of_the_organizations_zone() -> None:
    assert Change(1, "Asia/Kathmandu").day(RUN) == date(2026, 3, 10)
    assert Change(1, "UTC").day(RUN) == date(2026, 3, 9)
