"""Seats of a window, against sums worked out by hand: $365.25 a month are $12 a day."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.estimates import Assumptions, Dated
from costlens.domain.roi import Filters, Window
from costlens.domain.seats import Seats, Told, seats_by_day, seats_in, seats_of

DOLLAR = 1_000_000_000
WEEK = Window(date(2026, 11, 16), date(2026, 11, 22), "UTC")
PAYMENTS, SHOP = 1, 2


def told(*seats: tuple[int, int]) -> list[Dated]:
    """Dollars a day from days of November on."""
    return [Dated(date(2026, 11, day), Assumptions(seats_cents=round(dollars * 36_525 / 12))) for day, dollars in seats]


def test_the_total_of_the_organization_is_what_it_told_or_what_its_teams_did() -> None:
    teams = {PAYMENTS: told((1, 12)), SHOP: told((20, 24))}  # 7 days of $12, 3 of $24
    assert seats_in(Told((), teams), Filters(), WEEK) == Seats(
        "teams", (84 + 72) * DOLLAR, {PAYMENTS: 84 * DOLLAR, SHOP: 72 * DOLLAR}
    )
    whole = seats_in(Told(told((1, 60)), teams), Filters(), WEEK)
    assert (whole.of, whole.total, whole.by_team[SHOP]) == ("organization", 420 * DOLLAR, 72 * DOLLAR)
    # From the 19th on the organization tells less than its teams do from the 20th on: what is known is not left out.
    less = seats_in(Told(told((1, 60), (19, 24)), teams), Filters(), WEEK)
    assert less.total == (3 * 60 + 24 + 3 * 36) * DOLLAR
    later = seats_in(Told(told((19, 60)), teams), Filters(), WEEK)
    assert later.total == (3 * 12 + 4 * 60) * DOLLAR


@pytest.mark.parametrize(
    ("filters", "of", "total"),
    [
        (Filters(team_id=PAYMENTS), "team", 84 * DOLLAR),
        (Filters(team_id=SHOP), "not_shared", None),
        (Filters(team_id=0), "not_told", None),
        (Filters(repository_id=7), "not_told", None),
        (Filters(team_id=PAYMENTS, repository_id=7), "not_told", None),
        (Filters(provider="openai"), "not_told", None),
    ],
)
def test_seats_are_shared_out_to_nobody(filters: Filters, of: str, total: int | None) -> None:
    found = seats_in(Told(told((1, 60)), {PAYMENTS: told((1, 12)), SHOP: told((23, 24))}), filters, WEEK)
    assert (found.of, found.total) == (of, total)


def test_nothing_set_is_not_nothing_to_pay() -> None:
    for nothing in (Told(), Told(told((23, 60))), Told(told((1, 0)), {SHOP: told((1, 60), (16, 0))})):
        assert seats_in(nothing, Filters(), WEEK) == Seats("not_set", None)
        assert seats_in(nothing, Filters(team_id=SHOP), WEEK) == Seats("not_set", None)


Prices = list[tuple[int, int]]  # day of November, cents a month
PRICES = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 10**9)), unique_by=lambda one: one[0], max_size=4)


@given(PRICES, st.dictionaries(st.integers(1, 3), PRICES, max_size=3), st.integers(16, 21))
def test_days_windows_and_teams_add_up(whole: Prices, teams: dict[int, Prices], cut: int) -> None:
    def cents(prices: Prices) -> list[Dated]:
        return [Dated(date(2026, 11, day), Assumptions(seats_cents=each)) for day, each in prices]

    known = Told(cents(whole), {id: cents(prices) for id, prices in teams.items()})
    parts = (Window(WEEK.start, date(2026, 11, cut), "UTC"), Window(date(2026, 11, cut + 1), WEEK.end, "UTC"))
    week, *two = (seats_in(known, Filters(), window) for window in (WEEK, *parts))
    assert (week.total or 0) == sum(one.total or 0 for one in two)
    assert (week.total or 0) >= sum(week.by_team.values())  # so that what is of no team is never below 0
    if not whole:
        assert (week.total or 0) == sum(week.by_team.values())
    days = seats_by_day(known.whole, WEEK.start, WEEK.end)
    assert sum(days) == seats_of(known.whole, WEEK.start, WEEK.end)
