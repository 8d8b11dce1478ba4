from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from decimal import Decimal

import pytest
from flask.testing import FlaskClient

from costlens.domain.roi import RoiReport
from costlens.web.ui.roi import RoiFilters, sorted_rows
from tests.web.pages_app import pages_app
from tests.web.roi_fixture import repository_rows, roi_report


@pytest.fixture
def client() -> FlaskClient:
    return pages_app().test_client()


def text_of(report: RoiReport) -> str:
    """The page of a report without its tags, white space collapsed."""
    html = pages_app(lambda *_: report).test_client().get("/app/acme/repositories").text
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL))


def test_page_shows_the_figures_with_their_basis(client: FlaskClient) -> None:
    answer = client.get("/app/acme/repositories")
    assert answer.status_code == 200
    for text in (
        "$5,558.31",
        "+6.1 % vs previous 28 days",
        "77.2 %",
        "$8.67",
        "$13.76",
        "8.7 min",
        "88.2 %",
        "49.8 h",
        "0.7 h/week",
    ):
        assert text in answer.text, text


def test_rows_reconcile_with_the_total() -> None:
    for scope in ("repository", "team"):
        report = roi_report(scope)
        spend = report.total.spend
        assert sum(row.figures.spend.code for row in report.rows) == spend.code
        assert sum(row.figures.spend.not_code for row in report.rows) == spend.not_code
        assert spend.code + spend.not_code == spend.total
    assert "No repository" in text_of(roi_report())


def test_teams_have_the_same_page_and_say_what_is_shared(client: FlaskClient) -> None:
    html = client.get("/app/acme/teams").text
    assert "ROI by team" in html
    assert "No team" in html
    assert "2 shared" in html
    assert 'href="/app/acme/pulls?team=2&amp;outcome=merged"' in html


def test_figures_link_to_the_rows_behind_them(client: FlaskClient) -> None:
    html = client.get("/app/acme/repositories?period=7d&provider=openai").text
    assert 'href="/app/acme/runs?period=7d&amp;provider=openai"' in html
    assert 'href="/app/acme/runs?period=7d&amp;provider=openai&amp;repository=2&amp;state=code"' in html
    assert 'href="/app/acme/pulls?period=7d&amp;provider=openai&amp;repository=2&amp;outcome=merged"' in html
    assert 'href="/app/acme/runs?period=7d&amp;provider=openai&amp;repository=none&amp;state=code"' in html
    assert 'href="/app/acme/runs?period=7d&amp;provider=openai&amp;state=unlinked&amp;reason=no_person"' in html


def test_nothing_inline_that_the_policy_would_block(client: FlaskClient) -> None:
    for path in (
        "/app/acme/repositories",
        "/app/poor/teams",
        "/app/new/repositories",
        "/app/acme/runs",
        "/app/acme/pulls",
    ):
        html = client.get(path).text
        assert " style=" not in html
        assert "<style" not in html
        assert not re.search(r"<script(?! (src|type=\"application/json\"))", html)
        assert not re.search(r"<[^>]+ on[a-z]+=", html)


@pytest.mark.parametrize(
    ("query", "shortest"),
    [
        ("?period=28d&compare=previous&team=&provider=", "/app/acme/repositories"),
        ("?period=91d&team=2&provider=openai&sort=cost", "/app/acme/repositories?period=91d&team=2&provider=openai"),
        (
            "?repository=3&x=1&period=dates&from=2026-11-02&to=2026-11-09",
            "/app/acme/repositories?from=2026-11-02&to=2026-11-09&repository=3",
        ),
    ],
)
def test_url_says_only_what_differs_from_the_default(client: FlaskClient, query: str, shortest: str) -> None:
    answer = client.get("/app/acme/repositories" + query)
    assert answer.status_code == 302
    assert answer.location == shortest
    assert client.get(shortest).status_code == 200


def test_sorting_keeps_unknown_values_and_the_row_of_none_last() -> None:
    rows = repository_rows()
    rows[0] = replace(rows[0], figures=replace(rows[0].figures, cycle_hours=None))
    report = roi_report(rows=tuple(rows))
    falling = [row.name for row in sorted_rows(report, RoiFilters(sort="cycle"))]
    assert falling[0] == "data-pipelines"
    assert falling[-2:] == ["web-storefront", "No repository"]
    rising = [row.name for row in sorted_rows(report, RoiFilters(sort="cycle", ascending=True))]
    assert rising[0] == "infra"
    assert rising[-2:] == ["web-storefront", "No repository"]


def test_sorted_column_says_so_and_its_link_turns_it(client: FlaskClient) -> None:
    html = client.get("/app/acme/repositories?sort=merged").text
    assert html.count("aria-sort") == 1
    assert 'aria-sort="descending"' in html
    assert 'href="/app/acme/repositories?sort=merged&amp;dir=asc"' in html
    assert 'href="/app/acme/repositories"' in html  # AI cost, the default


def test_without_comparison_no_difference_is_shown(client: FlaskClient) -> None:
    html = client.get("/app/acme/repositories?compare=none").text
    assert "+$73.94" not in html
    assert "Previous" not in html
    assert "was 21.6" not in html


def test_without_an_hourly_cost_break_even_is_money_and_says_how_to_set_it(client: FlaskClient) -> None:
    html = client.get("/app/poor/repositories").text
    assert "set an hourly cost" in html
    assert "costlens organization set &#39;Poor &amp; Co&#39; --hourly-cost 95" in html
    assert "8.7 min" not in html


def test_warnings_stand_only_where_they_hold(client: FlaskClient) -> None:
    poor = client.get("/app/poor/repositories").text
    assert "Only 43.1 % of code spend is linked" in poor
    assert ">3 runs</a>" in poor
    assert "~$9,302.12" in poor
    usual = client.get("/app/acme/repositories").text
    assert "of code spend is linked" not in usual
    assert "no price:" not in usual
    assert "~$" not in usual


def test_one_unpriced_run_is_singular() -> None:
    report = roi_report()
    total = replace(report.total, spend=replace(report.total.spend, unpriced_runs=1))
    assert "1 run has no price: its cost is unknown and not included." in text_of(replace(report, total=total))


def test_without_pull_requests_the_page_says_so_and_invents_nothing() -> None:
    report = roi_report()
    none = {
        "merged": 0,
        "abandoned": 0,
        "direct_per_merged": None,
        "full_per_merged": None,
        "median": None,
        "p90": None,
    }
    total = replace(report.total, merge_yield=None, break_even_minutes=None, **none)  # type: ignore[arg-type]
    text = text_of(replace(report, total=total))
    assert "No pull request with linked runs was merged or closed in this period" in text
    assert "Merge yield – 0 of 0 closed PRs" in text


def test_a_merge_yield_that_is_not_known_says_why() -> None:
    report = roi_report()
    text = text_of(replace(report, total=replace(report.total, merge_yield=None)))
    assert "Merge yield – closed PRs are not known: a local clone tells of merged ones only" in text


def test_an_organization_without_runs_gets_the_first_steps(client: FlaskClient) -> None:
    html = client.get("/app/new/repositories").text
    assert "curl -X POST http://127.0.0.1:8787/integrations/run" in html
    assert "costlens github import" in html
    assert "<canvas" not in html


def test_names_are_escaped() -> None:
    rows = repository_rows()
    rows[0] = replace(rows[0], name="<script>alert(1)</script>")
    html = pages_app(lambda *_: roi_report(rows=tuple(rows))).test_client().get("/app/acme/repositories").text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_unknown_organization_is_not_found(client: FlaskClient) -> None:
    assert client.get("/app/nobody/repositories").status_code == 404


def test_csv_has_the_unrounded_rows_of_the_page(client: FlaskClient) -> None:
    answer = client.get("/app/acme/repositories?format=csv")
    assert answer.mimetype == "text/csv"
    assert 'filename="roi-by-repository-2026-10-27-2026-11-23.csv"' in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 12
    assert [row["Repository"] for row in rows[-3:]] == ["Code", "Not code", "Total"]
    *cost, code, not_code, total = [Decimal(row["Cost (USD)"]) for row in rows]
    assert sum(cost) == code == Decimal("4732.78")
    assert code + not_code == total


def test_csv_does_not_hand_a_formula_to_a_spreadsheet() -> None:
    rows = repository_rows()
    rows[0] = replace(rows[0], name="=HYPERLINK(1)")
    answer = pages_app(lambda *_: roi_report(rows=tuple(rows))).test_client().get("/app/acme/repositories?format=csv")
    assert "\n'=HYPERLINK(1)," in answer.text
