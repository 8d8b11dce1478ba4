"""The queries behind the reports, on the organization in tests/acme.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from costlens.domain.periods import bounds, previous_window
from costlens.domain.roi import Ended, Filters, Spend, Window
from costlens.store import reports, roi_spend
from costlens.store.engine import Store, Tx
from costlens.store.pull_outcomes import outcomes_of
from costlens.store.settled import settle_new, settle_sums
from costlens.store.tables import pull_requests
from tests import acme
from tests.acme import ACME, API, CHARLIES, DOLLAR, PAYMENTS, STOREFRONT, WEB, WEEK


@pytest.fixture
def store(engine: str) -> Iterator[Store]:
    with acme.open_acme(engine) as opened:
        yield opened


@pytest.fixture
def tx(store: Store) -> Iterator[Tx]:
    with store.read() as tx:
        yield tx


def spend_by_row(tx: Tx, scope: str, first: int, last: int, **filters: Any) -> dict[int, Spend]:
    """Of these days of November."""
    span, asked = Window(date(2026, 11, first), date(2026, 11, last), acme.ZONE), Filters(**filters)
    now, _ = roi_spend.spend_by_row(tx, ACME, scope, span, previous_window(span), asked)
    return {row: found.spend for row, found in now.items()}


def ended_in_week(tx: Tx, scope: str) -> Ended:
    return reports.ended_pulls(tx, ACME, scope, WEEK, previous_window(WEEK), Filters())[0]


def test_spend_of_a_day_by_repository(tx: Tx) -> None:
    assert spend_by_row(tx, "repository", 21, 21) == {
        WEB: Spend(counted=DOLLAR, direct=DOLLAR, suggested=2 * DOLLAR, runs=2)
    }


def test_spend_goes_by_what_became_of_the_work(tx: Tx) -> None:
    storefront = spend_by_row(tx, "team", 16, 22, repository_id=WEB, provider="openai")[STOREFRONT]
    payments = spend_by_row(tx, "team", 16, 22)[PAYMENTS]

    assert (storefront.merged, storefront.abandoned, storefront.direct) == (7 * DOLLAR, 5 * DOLLAR, DOLLAR)
    assert (payments.merged, payments.reverted, payments.open) == (2 * DOLLAR, 6 * DOLLAR, 7 * DOLLAR)


def test_spend_of_a_day_is_by_day(tx: Tx) -> None:
    span = Window(date(2026, 11, 17), date(2026, 11, 19), acme.ZONE)
    found = roi_spend.spend_by_day(tx, ACME, "repository", span, previous_window(span), Filters())

    assert {day: spend for day, spend in found.days.items() if day >= span.start} == {
        date(2026, 11, 17): Spend(counted=3 * DOLLAR, merged=3 * DOLLAR, runs=1),
        date(2026, 11, 18): Spend(counted=5 * DOLLAR, abandoned=5 * DOLLAR, runs=2),
        date(2026, 11, 19): Spend(counted=7 * DOLLAR, open=7 * DOLLAR, runs=1),
    }


def test_money_of_a_pull_request_that_is_gone_stays_counted(store: Store) -> None:
    with store.write() as tx:
        acme.change_pull(tx, 102)
    with store.read() as tx:
        assert spend_by_row(tx, "team", 17, 17) == {STOREFRONT: Spend(counted=3 * DOLLAR, direct=3 * DOLLAR, runs=1)}


@pytest.mark.parametrize(("days", "expected"), [(30, True), (31, False), (None, True)])
def test_a_revert_counts_for_30_days(store: Store, days: int | None, expected: bool) -> None:
    with store.write() as tx:
        at = None if days is None else acme.november(18) + timedelta(days=days)
        acme.change_pull(tx, 102, outcome="reverted", reverted_at=at)
    with store.read() as tx:
        ended = ended_in_week(tx, "team")

    # Nothing else of Storefront was reverted.
    assert (STOREFRONT in ended.reverted) is expected
    assert 105 not in ended.ids  # still open


def test_what_was_not_merged_is_not_reverted(store: Store) -> None:
    with store.write() as tx:
        acme.change_pull(tx, 103, outcome="reverted")
    with store.read() as tx:
        ended = ended_in_week(tx, "team")

    assert (ended.abandoned, STOREFRONT in ended.reverted) == ([STOREFRONT], False)


def test_a_new_pull_request_takes_over_what_is_linked_to_its_id(store: Store) -> None:
    """SQLite gives out the id of one that was removed again, while runs may still be linked to that."""
    with store.write() as tx:
        acme.change_pull(tx, 102, outcome="open", merged_at=None, closed_at=None)
        expected = ended_in_week(tx, "repository"), spend_by_row(tx, "repository", 16, 22)
        acme.change_pull(tx, 102)
        assert spend_by_row(tx, "repository", 16, 22) != expected[1]
        tx.execute(insert(pull_requests).values(acme.pull(102, WEB, 2, "open")))
        settle_new(tx, ACME, [102, 99_999])

        assert (ended_in_week(tx, "repository"), spend_by_row(tx, "repository", 16, 22)) == expected


def test_sums_follow_pull_requests_that_change_together(store: Store) -> None:
    with store.write() as tx:
        before = outcomes_of(tx, ACME, [101, 102, 105], change=True)
        closed = {"outcome": "abandoned", "merged_at": None, "closed_at": acme.november(20)}
        tx.execute(update(pull_requests).where(pull_requests.c.id.in_([102, 105])).values(closed))
        settle_sums(tx, ACME, before, before.keys())
    with store.read() as tx:
        ended, spend = ended_in_week(tx, "repository"), spend_by_row(tx, "repository", 16, 22)

    assert sorted(ended.abandoned) == [WEB, WEB, API]  # web#2 and web#3, api#2
    assert (spend[WEB].merged, spend[WEB].abandoned) == (6 * DOLLAR, 8 * DOLLAR)
    assert (spend[API].open, spend[API].abandoned, spend[API].reverted) == (0, 7 * DOLLAR, 6 * DOLLAR)


def test_facts_of_organization_repositories_and_teams(tx: Tx) -> None:
    assert reports.organization_facts(tx, ACME) == reports.OrganizationFacts(
        "Acme", acme.ZONE, 9_500, acme.november(22, 20, 15)
    )
    assert reports.organization_facts(tx, 999) is None
    assert reports.repository_facts(tx, ACME)[WEB] == reports.RowFacts(WEB, "acme/web", "Storefront", None)
    assert {fact.name for fact in reports.team_facts(tx, ACME).values()} == {"Storefront", "Payments"}
    assert {fact.name for fact in reports.repository_facts(tx, CHARLIES).values()} == {"charlie/secret"}


def test_costs_of_pull_requests_are_of_the_whole_life_and_per_team(tx: Tx) -> None:
    ended = ended_in_week(tx, "team")

    shown = zip(ended.ids, ended.rows, (cost / DOLLAR for cost in ended.costs), strict=True)
    assert sorted(shown) == [
        (101, STOREFRONT, 15),
        (101, PAYMENTS, 2),
        (102, STOREFRONT, 3),
        (104, PAYMENTS, 6),
        (107, 0, 9),
    ]
    assert ended.abandoned == [STOREFRONT]  # web#3


def test_a_link_without_cost_counts_and_one_taken_back_does_not(store: Store) -> None:
    with store.write() as tx:
        acme.insert_ledger(tx, [acme.ledger(18, team=STOREFRONT, repository=WEB, pull=109, runs=1, priced=0, cost=0)])
    with store.read() as tx:
        ids = ended_in_week(tx, "team").ids

    assert 109 in ids
    assert 108 not in ids


def test_a_pull_request_closed_on_the_last_day_counts_and_one_of_the_next_does_not(store: Store) -> None:
    _begin, end = bounds(WEEK)
    with store.write() as tx:
        for id, at in ((301, acme.november(23, 4, 59)), (302, end)):  # 23:59 local, and the midnight after
            tx.execute(insert(pull_requests).values(acme.pull(id, WEB, id, "abandoned", closed_at=at)))
            acme.insert_ledger(tx, [acme.ledger(20, repository=WEB, pull=id, cost=1)])
    with store.read() as tx:
        ended = ended_in_week(tx, "repository")

    assert ended.abandoned == [WEB, WEB]  # web#3, and 301


def test_reasons_are_of_unlinked_runs_dearest_first(tx: Tx) -> None:
    now, _ = roi_spend.spend_by_row(tx, ACME, "team", WEEK, previous_window(WEEK), Filters())
    reasons = roi_spend.dearest_reasons(now.values())

    assert list(reasons.items()) == [("no_repo", 4 * DOLLAR), ("no_candidate", DOLLAR // 2)]


def test_contributors_are_people_with_code_runs(tx: Tx) -> None:
    assert reports.contributors(tx, ACME, WEEK, Filters()) == 1
    assert reports.contributors(tx, ACME, WEEK, Filters(provider="openai")) == 1
    assert reports.contributors(tx, ACME, WEEK, Filters(provider="nobody")) == 0
