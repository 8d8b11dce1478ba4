"""Seats in the figures of Acme (tests/acme.py): $46.50 code spend and 4 merged PRs in the week."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from costlens.domain.estimates import Assumptions
from costlens.domain.roi import Filters, RoiReport, Window
from costlens.services.assumptions import estimated, set_assumptions
from costlens.services.report_documents import document
from costlens.services.report_formats import roi_csv, roi_json, roi_ndjson
from costlens.services.report_lines import against, figure_lines, seats_words
from costlens.services.reports import roi_report
from costlens.services.team_reports import decode, load, make, to_json
from costlens.store.engine import Store
from tests import acme
from tests.acme import ACME, CHARLIES, DOLLAR, PAYMENTS, STOREFRONT, WEB, WEEK

DAILY = 36_525  # cents a month: $12 a day
KEPT_BEFORE = Path(__file__).with_name("report_of_schema_1.json")


@pytest.fixture
def store() -> Iterator[Store]:
    with acme.open_acme("sqlite") as opened:
        yield opened


def give(store: Store, team: int | None, day: int, daily: int) -> None:
    set_assumptions(store, ACME, team, date(2026, 11, day), Assumptions(seats_cents=daily * DAILY // 12), by="a key")


def week(store: Store, scope: str = "repository", **filters: int | str) -> RoiReport:
    return roi_report(store, ACME, scope, window=WEEK, filters=Filters(**filters))  # type: ignore[arg-type]


def test_the_full_cost_has_the_seats_of_the_organization(store: Store) -> None:
    without = week(store)
    assert (without.seats_of, without.total.seats, without.total.full_per_merged) == ("not_set", None, 11.625 * DOLLAR)
    assert seats_words(without) == "Seats are not set: full cost is code spend alone."
    give(store, None, 14, 12)  # 7 days of the week, 2 of the one before
    report = week(store)
    total = report.total
    assert (report.seats_of, total.seats, total.full_cost) == ("organization", 84 * DOLLAR, 130.5 * DOLLAR)
    assert total.full_per_merged == 130.5 / 4 * DOLLAR
    assert total.required_hours == pytest.approx(130.5 / 95)
    assert total.break_even_minutes == pytest.approx(130.5 / 95 * 60 / 4)
    assert report.previous.seats == 24 * DOLLAR
    assert (total.spend, total.direct_per_merged) == (without.total.spend, without.total.direct_per_merged)
    # Of no repository, and not shared out to teams.
    assert {row.figures.seats for row in report.rows} == {None}
    assert [row.figures for row in report.rows] == [row.figures for row in without.rows]
    of_team = week(store, team_id=PAYMENTS)
    assert (of_team.seats_of, of_team.total.seats) == ("not_shared", None)
    assert week(store, repository_id=WEB).seats_of == week(store, provider="openai").seats_of == "not_told"
    assert seats_words(report) == (
        "Full cost: $46.50 code spend + $84.00 seats of the organization = $130.50. "
        "No repository has seats, so the rows are without."
    )
    assert roi_report(store, CHARLIES, "repository", window=Window(WEEK.start, WEEK.end, "UTC")).seats_of == "not_set"


def test_a_team_has_its_own_seats_and_rows_add_up(store: Store) -> None:
    give(store, PAYMENTS, 20, 24)  # 3 days
    of_team = week(store, team_id=PAYMENTS)
    assert (of_team.seats_of, of_team.total.seats) == ("team", 72 * DOLLAR)
    assert of_team.total.full_per_merged == (18 + 72) / 2 * DOLLAR
    report = week(store, "team")
    assert (report.seats_of, report.total.seats, report.seats_of_no_row) == ("teams", 72 * DOLLAR, 0)
    give(store, None, 1, 36)
    report = week(store, "team")
    rows = {row.id: row.figures for row in report.rows}
    assert (rows[PAYMENTS].seats, rows[STOREFRONT].seats, rows[None].seats) == (72 * DOLLAR, None, None)
    assert rows[PAYMENTS].full_per_merged == of_team.total.full_per_merged
    assert (report.total.seats, report.seats_of_no_row) == (7 * 36 * DOLLAR, (7 * 36 - 72) * DOLLAR)
    header, *lines = csv.reader(roi_csv(report))
    *parts, code, not_code, total = [dict(zip(header, line, strict=True)) for line in lines]
    assert parts[-1]["Team"] == "Seats of no team"
    for column in ("Cost (USD)", "Seats (USD)", "Full cost (USD)"):
        assert sum(float(one[column] or 0) for one in parts) == pytest.approx(float(code[column])), column
    assert float(code["Full cost (USD)"]) == pytest.approx(46.5 + 7 * 36)
    assert not_code["Seats (USD)"] == total["Full cost (USD)"] == ""


def test_a_team_with_seats_and_no_spend_has_a_row(store: Store) -> None:
    quiet = Window(date(2026, 6, 1), date(2026, 6, 7), acme.ZONE)
    set_assumptions(store, ACME, PAYMENTS, date(2026, 6, 5), Assumptions(seats_cents=DAILY), by="a key")
    report = roi_report(store, ACME, "team", window=quiet)
    assert [(row.name, row.figures.seats, row.figures.full_per_merged) for row in report.rows] == [
        ("Payments", 36 * DOLLAR, None)
    ]


def test_every_form_tells_the_same_seats(store: Store) -> None:
    give(store, None, 1, 12)
    report = week(store)
    shown = roi_json(report)
    assert shown["seats"] == {"of": "organization", "ofNoRow": 84.0}
    assert (shown["total"]["seats"], shown["total"]["fullCost"], shown["total"]["cost"]) == (84.0, 130.5, 46.5)
    assert json.loads(next(roi_ndjson(report)))["seats"] is None
    lines = {line.label: line for line in figure_lines(report)}
    assert (lines["Seats"].now, lines["Full per merged PR"].now) == ("$84.00", "$32.63")
    assert lines["Full per merged PR"].basis == "code spend and seats ÷ merged PRs"
    assert estimated(store, ACME, report, Filters()).basis.seats == report.total.seats


def test_the_estimate_of_the_organization_has_the_seats_of_its_teams(store: Store) -> None:
    give(store, PAYMENTS, 20, 24)
    report = week(store)
    tried = Assumptions(seats_cents=DAILY)
    assert estimated(store, ACME, report, Filters()).basis.seats == report.total.seats == 72 * DOLLAR
    # To try out $12 a day as a whole: 4 days of it, then what the team told.
    assert estimated(store, ACME, report, Filters(), instead=tried).basis.seats == (4 * 12 + 72) * DOLLAR
    alone = week(store, team_id=PAYMENTS)
    assert estimated(store, ACME, alone, Filters(team_id=PAYMENTS)).basis.seats == 72 * DOLLAR


def test_a_kept_report_keeps_its_seats(store: Store) -> None:
    give(store, None, 1, 12)
    at = datetime(2026, 11, 23, 12, tzinfo=UTC)
    first = load(store, ACME, make(store, ACME, "organization", 0, kind="week", window=WEEK, now=at))
    csv_then = "".join(first.csv)
    give(store, None, 10, 60)
    give(store, PAYMENTS, 1, 600)
    again = load(store, ACME, first.head.id)
    assert (again.json, "".join(again.csv), again.reproduced) == (first.json, csv_then, True)
    assert week(store).total.seats == 7 * 600 * DOLLAR


def test_a_report_kept_before_there_were_seats_is_the_same_to_the_byte(store: Store) -> None:
    kept = json.loads(KEPT_BEFORE.read_text())  # inputs, and what the program of then made of them
    inputs = decode(json.dumps(kept["inputs"]))
    assert hashlib.sha256(to_json(document(inputs))).hexdigest() == kept["digest"]
    assert hashlib.sha256("".join(roi_csv(inputs.roi)).encode()).hexdigest() == kept["csv"]
    assert [line.label for line in figure_lines(inputs.roi)].count("Seats") == 0
    assert seats_words(inputs.roi) == ""
    give(store, None, 1, 12)
    assert {line.label: line.now for line in against(week(store), inputs.roi)}["Seats"] == "$84.00"
