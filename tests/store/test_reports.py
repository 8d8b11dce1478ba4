"""The queries behind the reports, on the organization in tests/acme.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import delete, insert

from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, Spend
from costlens.store import reports
from costlens.store.engine import Store, Tx
from costlens.store.tables import pull_requests, rollup_links
from tests import acme
from tests.acme import ACME, CHARLIES, DOLLAR, STOREFRONT, WEB, WEEK


@pytest.fixture
def store(engine: str) -> Iterator[Store]:
    with acme.open_acme(engine) as opened:
        yield opened


@pytest.fixture
def tx(store: Store) -> Iterator[Tx]:
    with store.read() as tx:
        yield tx


def test_spend_of_a_day_by_repository(tx: Tx) -> None:
    rows = reports.spend_by_day(tx, ACME, "repository", date(2026, 11, 21), date(2026, 11, 21), Filters())

    assert rows == [
        reports.DayRow(WEB, date(2026, 11, 21), Spend(counted=DOLLAR, direct=DOLLAR, suggested=2 * DOLLAR, runs=2))
    ]


def test_money_of_a_pull_request_that_is_gone_stays_counted(store: Store) -> None:
    with store.write() as tx:
        tx.execute(delete(pull_requests).where(pull_requests.c.id == 102))
    with store.read() as tx:
        (row,) = reports.spend_by_day(tx, ACME, "team", date(2026, 11, 17), date(2026, 11, 17), Filters())

    assert row.spend == Spend(counted=3 * DOLLAR, direct=3 * DOLLAR, runs=1)


def test_facts_of_organization_repositories_and_teams(tx: Tx) -> None:
    assert reports.organization_facts(tx, ACME) == reports.OrganizationFacts(
        "Acme", acme.ZONE, 9_500, acme.november(22, 20, 15)
    )
    assert reports.organization_facts(tx, 999) is None
    assert reports.repository_facts(tx, ACME)[WEB] == reports.RowFacts(WEB, "acme/web", "Storefront", None)
    assert {fact.name for fact in reports.team_facts(tx, ACME).values()} == {"Storefront", "Payments"}
    assert {fact.name for fact in reports.repository_facts(tx, CHARLIES).values()} == {"charlie/secret"}


def test_pull_costs_are_of_the_whole_life_and_per_team(tx: Tx) -> None:
    pulls = reports.pull_costs(tx, ACME, "team", *bounds(WEEK), Filters())

    assert [(pull.pull_request_id, pull.row, pull.cost / DOLLAR) for pull in pulls] == [
        (101, acme.STOREFRONT, 15),
        (101, acme.PAYMENTS, 2),
        (102, acme.STOREFRONT, 3),
        (103, acme.STOREFRONT, 5),
        (104, acme.PAYMENTS, 6),
        (107, 0, 9),
    ]


def test_a_link_without_cost_counts_and_one_taken_back_does_not(store: Store) -> None:
    with store.write() as tx:
        tx.execute(
            insert(rollup_links), [acme.ledger(18, team=STOREFRONT, repository=WEB, pull=109, runs=1, priced=0, cost=0)]
        )
    with store.read() as tx:
        ids = {pull.pull_request_id for pull in reports.pull_costs(tx, ACME, "team", *bounds(WEEK), Filters())}

    assert 109 in ids
    assert 108 not in ids


def test_a_pull_request_closed_on_the_last_day_counts_and_one_of_the_next_does_not(store: Store) -> None:
    _begin, end = bounds(WEEK)
    with store.write() as tx:
        for id, at in ((301, acme.november(23, 4, 59)), (302, end)):  # 23:59 local, and the midnight after
            tx.execute(insert(pull_requests).values(acme.pull(id, WEB, id, "abandoned", closed_at=at)))
            tx.execute(insert(rollup_links).values(acme.ledger(20, repository=WEB, pull=id, cost=1)))
    with store.read() as tx:
        ids = {pull.pull_request_id for pull in reports.pull_costs(tx, ACME, "repository", *bounds(WEEK), Filters())}

    assert 301 in ids
    assert 302 not in ids


def test_reasons_are_of_unlinked_runs_dearest_first(tx: Tx) -> None:
    reasons = reports.unlinked_reasons(tx, ACME, WEEK, Filters())

    assert list(reasons.items()) == [("no_repo", 4 * DOLLAR), ("no_candidate", DOLLAR // 2)]


def test_quality_counts_people_with_code_runs(tx: Tx) -> None:
    assert reports.quality(tx, ACME, WEEK, Filters()) == reports.Quality(10, 8, 6, 1)
    assert reports.quality(tx, ACME, WEEK, Filters(provider="nobody")) == reports.Quality(0, 0, 0, 0)
