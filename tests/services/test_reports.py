"""ROI reports of the organization in tests/acme.py; the expected figures are worked out by hand from its table."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.roi import AssistedShare, Filters, RoiReport, RoiRow, Spend, Window
from costlens.services.reports import pull_request_report, roi_csv, roi_json, roi_report
from costlens.store.engine import Store
from costlens.store.tables import pull_requests, repositories, rollup_links, rollup_pulls, rollup_spend
from tests import acme
from tests.acme import ACME, API, CHARLIES, DOLLAR, INFRA, PAYMENTS, STOREFRONT, WEB, WEEK


@pytest.fixture(scope="module")
def store(engine: str) -> Iterator[Store]:
    with acme.open_acme(engine) as opened:
        yield opened


@pytest.fixture
def own_store(engine: str) -> Iterator[Store]:
    """Acme in a database that the test may change."""
    with acme.open_acme(engine) as opened:
        yield opened


def dollars(**buckets: float) -> dict[str, int]:
    return {name: round(value * DOLLAR) for name, value in buckets.items()}


def by_id(report: RoiReport) -> dict[int | None, RoiRow]:
    return {row.id: row for row in report.rows}


def test_the_total_of_a_week(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK)

    assert report.organization == "Acme"
    assert report.comparison == Window(date(2026, 11, 9), date(2026, 11, 15), acme.ZONE)
    assert report.total.spend == Spend(
        **dollars(
            counted=37, merged=9, direct=1, open=7, abandoned=5, reverted=15, suggested=2, pending=3, unlinked=4.5,
            not_code=20,
        ),
        runs=29, not_code_runs=10, unpriced_runs=1,
    )  # fmt: skip
    assert report.total.spend.code == 46.5 * DOLLAR
    assert report.total.spend.coverage == pytest.approx(37 / 46.5)
    # Merged in the week: web#1 (whole life 10 + 1 + 4 + 2), web#2 (3), api#1 (6), infra#1 (9).
    assert (report.total.merged, report.total.abandoned, report.total.reverted) == (4, 1, 1)
    assert report.total.linked_cost == 35 * DOLLAR
    assert report.total.direct_per_merged == 8.75 * DOLLAR
    assert report.total.full_per_merged == 11.625 * DOLLAR
    assert (report.total.median, report.total.p90) == (None, None)  # few PRs
    assert report.total.merge_yield == 4 / 5
    assert report.total.cycle_hours == 15  # of 10 and 20; a negative and an unknown one are left out
    assert report.total.required_hours == pytest.approx(46.5 / 95)
    assert report.total.break_even_minutes == pytest.approx(46.5 / 95 * 60 / 4)
    assert report.hourly_cost_cents == 9_500


def test_the_week_before_ends_at_local_midnight(store: Store) -> None:
    previous = roi_report(store, ACME, "repository", window=WEEK).previous

    assert previous.spend == Spend(**dollars(counted=9, merged=9, not_code=10), runs=9, not_code_runs=5)
    assert (previous.merged, previous.linked_cost) == (1, 8 * DOLLAR)  # api#3: 04:59 UTC is still 15 November there


def test_rows_by_repository(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK)

    shown = [
        (r.id, r.name, r.team, r.figures.spend.code / DOLLAR, r.figures.merged, r.figures.abandoned, r.figures.shared)
        for r in report.rows
    ]
    assert shown == [
        (WEB, "acme/web", "Storefront", 17.5, 2, 1, 0),
        (API, "acme/api", "Payments", 16.0, 1, 0, 0),
        (INFRA, "acme/infra", None, 9.0, 1, 0, 0),
        (None, "No repository", None, 4.0, 0, 0, 0),
    ]
    web = report.rows[0]
    assert [value / DOLLAR for value in web.trend] == [6, 3, 5, 0, 0, 3, 0.5]
    assert web.figures.linked_cost == 20 * DOLLAR
    assert web.previous.spend.code == 1 * DOLLAR
    assert report.rows[3].figures.direct_per_merged is None


def test_rows_by_team_count_a_shared_pull_request_in_each(store: Store) -> None:
    report = roi_report(store, ACME, "team", window=WEEK)

    shown = [
        (
            r.id,
            r.name,
            r.figures.spend.code / DOLLAR,
            r.figures.merged,
            r.figures.shared,
            r.figures.linked_cost / DOLLAR,
        )
        for r in report.rows
    ]
    assert shown == [
        (PAYMENTS, "Payments", 18.0, 2, 1, 8.0),
        (STOREFRONT, "Storefront", 15.5, 2, 1, 18.0),
        (None, "No team", 13.0, 1, 0, 9.0),
    ]
    assert (report.total.merged, report.total.shared, report.total.linked_cost) == (4, 1, 35 * DOLLAR)
    payments, storefront = report.rows[0].figures, report.rows[1].figures
    assert payments.required_hours == pytest.approx(18 / 200)  # its own hourly cost
    assert storefront.required_hours == pytest.approx(15.5 / 95)  # the organization's


def test_days_split_code_spend_by_outcome(store: Store) -> None:
    days = roi_report(store, ACME, "team", window=WEEK).days

    shown = [
        (d.day.day, *(v / DOLLAR for v in (d.merged, d.open, d.abandoned, d.not_linked, d.previous))) for d in days
    ]
    assert shown == [
        (16, 6, 0, 6, 0, 0),
        (17, 3, 0, 0, 0, 1),
        (18, 0, 0, 5, 0, 0),
        (19, 0, 7, 0, 0, 0),
        (20, 0, 0, 9, 0, 0),
        (21, 1, 0, 0, 2, 8),
        (22, 0, 0, 0, 7.5, 0),
    ]  # fmt: skip


def test_quality_contributors_reasons_and_freshness(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK)

    assert report.priced_share == pytest.approx(8 / 10)
    assert report.exact_share == pytest.approx(6 / 10)
    assert report.contributors == 1  # alice; bob only ran production, the third is a bot
    assert report.unlinked_reasons == dollars(no_repo=4, no_candidate=0.5)
    assert report.data_through == acme.november(22, 20, 15)


def test_ai_assisted_work_is_linked_or_declared(store: Store) -> None:
    share = roi_report(store, ACME, "repository", window=WEEK).assisted
    of_api = roi_report(store, ACME, "repository", window=WEEK, filters=Filters(repository_id=API)).assisted

    assert share == AssistedShare(linked=4, declared=1, none_seen=1)  # web#5 has a trailer, web#4 nothing
    assert share.at_least == pytest.approx(5 / 6)
    assert of_api == AssistedShare(linked=1, declared=0, none_seen=0)
    assert roi_report(store, ACME, "team", window=WEEK, filters=Filters(team_id=STOREFRONT)).assisted is None


@pytest.mark.parametrize(
    ("filters", "code", "merged", "linked"),
    [
        (Filters(provider="anthropic"), 9, 1, 2),
        (Filters(team_id=STOREFRONT), 15.5, 2, 18),
        (Filters(team_id=0), 13, 1, 9),
        (Filters(repository_id=API), 16, 1, 6),
        (Filters(repository_id=0), 4, 0, 0),
        (Filters(repository_id=WEB, team_id=PAYMENTS), 2, 1, 2),
        (Filters(repository_id=31), 0, 0, 0),
    ],
)
def test_filters_apply_to_every_figure(store: Store, filters: Filters, code: float, merged: int, linked: float) -> None:
    total = roi_report(store, ACME, "repository", window=WEEK, filters=filters).total

    assert (total.spend.code / DOLLAR, total.merged, total.linked_cost / DOLLAR) == (code, merged, linked)


def test_filters_apply_to_shares_and_people(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK, filters=Filters(team_id=0))

    assert (report.priced_share, report.exact_share, report.contributors) == (0, 0, 0)


def test_a_team_filter_brings_the_teams_hourly_cost(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK, filters=Filters(team_id=PAYMENTS))

    assert report.hourly_cost_cents == 20_000
    assert report.rows[0].figures.required_hours == pytest.approx(report.rows[0].figures.spend.code / DOLLAR / 200)


def test_a_repository_of_the_week_before_keeps_its_row(store: Store) -> None:
    # 15 to 15 November against the 14th: only api#3 has spend then, none the day after.
    report = roi_report(store, ACME, "repository", window=Window(date(2026, 11, 15), date(2026, 11, 15), acme.ZONE))

    assert [(row.name, row.figures.spend.code, row.previous.spend.code) for row in report.rows] == [
        ("acme/api", 0, 8 * DOLLAR)
    ]
    assert report.total.merged == 1  # merged at 23:59 of the 15th, with the spend of the day before


def test_another_organization_sees_only_its_own(store: Store) -> None:
    window = Window(WEEK.start, WEEK.end, "UTC")
    theirs = roi_report(store, CHARLIES, "repository", window=window)
    pulls = pull_request_report(store, CHARLIES, window=window)

    assert theirs.total.spend.code == 2000 * DOLLAR
    assert theirs.total.spend.merged == 1000 * DOLLAR  # the other 1000 name a pull request that is not theirs
    assert theirs.total.merged == 1  # Acme's web#1 is not theirs, whatever their ledger says
    assert "acme" not in json.dumps(roi_json(theirs)).lower()
    assert [row.repository for row in pulls.rows] == ["charlie/secret"]


@pytest.mark.parametrize("scope", ["repository", "team"])
def test_a_report_takes_so_many_statements_that_use_indexes(store: Store, scope: str) -> None:
    with acme.statements(store) as seen:
        roi_report(store, ACME, scope, window=WEEK)

    assert len(seen) == {"repository": 10, "team": 9}[scope]
    assert_no_scans(store, seen)


def test_a_page_of_pull_requests_takes_two_statements_that_use_indexes(store: Store) -> None:
    with acme.statements(store) as seen:
        pull_request_report(store, ACME, window=WEEK)

    assert len(seen) == 2
    assert_no_scans(store, seen)


def assert_no_scans(store: Store, seen: list[tuple[str, object]]) -> None:
    """Tables that grow are searched by an index, and runs are not read at all."""
    growing = (
        "rollup_links",
        "rollup_spend",
        "rollup_pulls",
        "rollup_dimension",
        "rollup_day",
        "rollup_15m",
        "pull_requests",
        "people",
    )
    with store.read() as tx:
        if store.dialect == "postgresql":
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")  # or it scans what is as small as here
        for statement, parameters in seen:
            assert "FROM runs" not in statement
            if store.dialect == "postgresql":
                plan = "\n".join(tx.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars())
                assert not any(f"Seq Scan on {table}" in plan for table in growing), plan
                continue
            for *_, detail in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
                assert not detail.startswith(tuple(f"SCAN {table}" for table in growing)), (detail, statement)


def test_pull_requests_of_the_week_newest_first(store: Store) -> None:
    page = pull_request_report(store, ACME, window=WEEK)

    assert [(r.repository, r.number, r.outcome, r.runs, r.cost / DOLLAR, r.cycle_hours) for r in page.rows] == [
        ("acme/infra", 1, "reverted", 1, 9, None),
        ("acme/web", 2, "merged", 1, 3, None),
        ("acme/web", 1, "merged", 7, 17, 10),
        ("acme/api", 1, "reverted", 1, 6, 20),
        ("acme/api", 2, "open", 1, 7, None),
        ("acme/web", 3, "abandoned", 2, 5, None),
    ]
    assert page.next_cursor is None


@pytest.mark.parametrize("outcome", ["merged", "abandoned", "reverted"])
def test_the_listed_pull_requests_are_those_that_the_figures_count(store: Store, outcome: str) -> None:
    figures = roi_report(store, ACME, "repository", window=WEEK).total
    rows = pull_request_report(store, ACME, window=WEEK, outcome=outcome).rows

    # infra#1 was reverted after more than 30 days: listed as reverted, not held against the merge.
    assert len(rows) == getattr(figures, outcome) + (outcome == "reverted")
    if outcome == "merged":
        assert sum(row.cost for row in rows) == figures.linked_cost


def test_pages_join_without_gap_or_repeat(store: Store) -> None:
    whole = pull_request_report(store, ACME, window=WEEK).rows
    seen, cursor = [], None
    for _ in whole:
        page = pull_request_report(store, ACME, window=WEEK, cursor=cursor, limit=1)
        seen += page.rows
        cursor = page.next_cursor

    assert cursor is None
    assert tuple(seen) == whole  # api#2 and web#3 were created at the same instant


@pytest.mark.parametrize("cursor", ["", "x", "1_", "_1", "1_x", "9" * 30 + "_1", "999999999999999_1", "1_²"])
def test_a_broken_cursor_is_named(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        pull_request_report(store, ACME, window=WEEK, cursor=cursor)
    assert caught.value.field == "cursor"


def test_bad_questions_name_their_field(store: Store) -> None:
    with pytest.raises(InvalidInput) as scope:
        roi_report(store, ACME, "person", window=WEEK)
    with pytest.raises(InvalidInput) as timezone:
        roi_report(store, ACME, "team", window=Window(WEEK.start, WEEK.end, "UTC"))
    with pytest.raises(InvalidInput) as outcome:
        pull_request_report(store, ACME, window=WEEK, outcome="direct")
    with pytest.raises(InvalidInput) as limit:
        pull_request_report(store, ACME, window=WEEK, limit=101)
    with pytest.raises(NotFound):
        roi_report(store, 999, "team", window=WEEK)

    assert [e.value.field for e in (scope, timezone, outcome, limit)] == ["scope", "timezone", "outcome", "limit"]


def test_json_is_in_dollars_and_says_its_basis(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK)
    answer = json.loads(json.dumps(roi_json(report), allow_nan=False))

    assert {name: answer[name] for name in ("startDate", "endDate", "timezone", "dataThrough")} == {
        "startDate": "2026-11-16",
        "endDate": "2026-11-22",
        "timezone": "America/New_York",
        "dataThrough": "2026-11-22T20:15:00.000Z",
    }
    assert answer["coverage"] == pytest.approx({"priced": 0.8, "exactUsage": 0.6, "linked": 37 / 46.5})
    assert answer["total"]["cost"] == 46.5
    assert answer["total"]["directCostPerMerged"] == 8.75
    assert answer["previous"]["cost"] == 9
    assert [row["name"] for row in answer["repositories"]] == ["acme/web", "acme/api", "acme/infra", "No repository"]
    assert answer["repositories"][0]["trend"] == [6, 3, 5, 0, 0, 3, 0.5]
    assert answer["repositories"][0]["previous"]["cost"] == 1
    assert answer["unlinkedReasons"] == {"no_repo": 4, "no_candidate": 0.5}
    assert len(answer["days"]) == 7
    assert answer["requiredHoursPerWeek"] == pytest.approx(46.5 / 95)
    assert "teams" in roi_json(roi_report(store, ACME, "team", window=WEEK))


def test_csv_adds_up_to_its_last_rows(store: Store) -> None:
    report = roi_report(store, ACME, "repository", window=WEEK)
    header, *lines = csv.reader(roi_csv(report))
    cells = [dict(zip(header, line, strict=True)) for line in lines]
    rows, (code, not_code, total) = cells[:-3], cells[-3:]

    assert [line["Repository"] for line in cells[-3:]] == ["Code", "Not code", "Total"]
    for column in header[2:14]:  # runs and money
        assert sum(float(row[column]) for row in rows) == pytest.approx(float(code[column])), column
    for column in header[2:5]:  # runs, cost, previous cost
        assert float(code[column]) + float(not_code[column]) == pytest.approx(float(total[column])), column
    assert total["Cost (USD)"] == "66.500000000"
    assert rows[0]["Median per merged PR (USD)"] == ""


def test_csv_cannot_carry_a_formula(own_store: Store) -> None:
    with own_store.write() as tx:
        tx.execute(update(repositories).where(repositories.c.id == WEB).values(name="=cmd|'/c calc'!A1"))
    lines = list(csv.reader(roi_csv(roi_report(own_store, ACME, "repository", window=WEEK))))

    assert lines[1][0] == "'=cmd|'/c calc'!A1"
    assert lines[1][2:4] == ["10", "17.500000000"]


def test_an_empty_window_has_no_figures(store: Store) -> None:
    report = roi_report(store, ACME, "team", window=Window(date(2025, 1, 1), date(2025, 1, 28), acme.ZONE))

    assert report.rows == ()
    assert report.total.spend == Spend()
    assert (report.total.direct_per_merged, report.total.merge_yield, report.total.break_even_minutes) == (None,) * 3
    assert (report.priced_share, report.exact_share) == (None, None)
    assert report.total.required_hours == 0
    assert len(report.days) == 28


@pytest.fixture(scope="module")
def busy_store(engine: str) -> Iterator[Store]:
    """Acme with 1,500 ledger rows at random, over days, teams, repositories, providers and states."""
    chance = random.Random(7)
    pulls = []
    for id in range(1_000, 1_200):
        closed = acme.november(1) + timedelta(minutes=chance.randrange(22 * 24 * 60))
        outcome = chance.choice(["merged", "merged", "open", "abandoned", "reverted"])
        at = {"open": {}, "abandoned": {"closed_at": closed}}.get(outcome, {"merged_at": closed})
        pulls.append(acme.pull(id, chance.choice([WEB, API, INFRA]), id, outcome, **at))
    cells = {}
    for _ in range(1_500):
        state = chance.choice(["counted", "counted", "suggested", "pending", "unlinked", "not_code"])
        row = acme.ledger(
            date(2026, 10, 20) + timedelta(days=chance.randrange(34)),
            team=chance.choice([0, STOREFRONT, PAYMENTS]),
            repository=chance.choice([0, WEB, API, INFRA, 99]),
            provider=chance.choice(["openai", "anthropic"]),
            state=state,
            reason=chance.choice(["no_repo", "rejected"]) if state == "unlinked" else "",
            pull=chance.choice([0, *range(1_000, 1_200)]) if state == "counted" else 0,
            runs=chance.randrange(4),
            cost=chance.random() * 20,
        )
        cells[tuple(row.values())[:8]] = row
    with acme.open_acme(engine) as opened:
        with opened.write() as tx:
            tx.execute(insert(pull_requests), pulls)
            for table in (rollup_links, rollup_spend, rollup_pulls):
                tx.execute(table.delete().where(table.c.organization_id == ACME))
            acme.insert_ledger(tx, list(cells.values()))
        yield opened


@given(
    scope=st.sampled_from(["repository", "team"]),
    start=st.integers(0, 33),
    length=st.integers(1, 28),
    team=st.sampled_from([None, 0, STOREFRONT, PAYMENTS]),
    repository=st.sampled_from([None, 0, WEB, API, 99]),
    provider=st.sampled_from([None, "openai", "anthropic", "nobody"]),
)
@settings(max_examples=60, deadline=None)
def test_rows_and_days_add_up_under_any_filter(
    busy_store: Store,
    scope: str,
    start: int,
    length: int,
    team: int | None,
    repository: int | None,
    provider: str | None,
) -> None:
    first = date(2026, 10, 20) + timedelta(days=start)
    window = Window(first, first + timedelta(days=length - 1), acme.ZONE)
    filters = Filters(team, repository, provider)
    report = roi_report(busy_store, ACME, scope, window=window, filters=filters)
    expected = acme_ledger_total(busy_store, window, filters)

    assert report.total.spend.total == expected
    for total, parts in (
        (report.total, [r.figures for r in report.rows]),
        (report.previous, [r.previous for r in report.rows]),
    ):
        assert sum((part.spend for part in parts), Spend()) == total.spend
        assert sum(part.linked_cost for part in parts) == total.linked_cost
        assert sum(part.shared for part in parts) >= 2 * total.shared
        assert sum(part.merged - part.shared for part in parts) == total.merged - total.shared
    for row in report.rows:
        assert sum(row.trend) == row.figures.spend.code
    assert sum(d.merged + d.open + d.abandoned + d.not_linked for d in report.days) == report.total.spend.code
    assert sum(d.previous for d in report.days) == report.previous.spend.code
    assert sum(report.unlinked_reasons.values()) == report.total.spend.unlinked
    listed = pull_request_report(busy_store, ACME, window=window, filters=filters, outcome="merged", limit=100).rows
    assert len(listed) == min(100, report.total.merged)


def acme_ledger_total(store: Store, window: Window, filters: Filters) -> int:
    """The ledger added up in Python, row by row."""
    with store.read() as tx:
        rows = tx.execute(rollup_links.select()).mappings().all()
    wanted = {"team_id": filters.team_id, "repository_id": filters.repository_id, "provider": filters.provider}
    return sum(
        row["cost_nanos"]
        for row in rows
        if row["organization_id"] == ACME
        and window.start <= row["day"] <= window.end
        and all(value is None or row[name] == value for name, value in wanted.items())
    )
