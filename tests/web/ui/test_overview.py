"""The overview and the ROI pages over HTTP, of the organization in tests/acme.py, whose figures are made by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens.config import load_settings
from costlens.factory import create_app
from costlens.store.engine import Store
from costlens.store.organizations import find_organization
from tests import acme
from tests.acme import API, PAYMENTS, STOREFRONT, WEB
from tests.databases import database_url
from tests.web.people import Person, add_member, signed_in

WEEK = "from=2026-11-16&to=2026-11-22"
# The week by hand, see tests/acme.py: cost in dollars by provider, team and outcome.
FLOWS = {
    ("openai", "Storefront", "merged"): "7",  # web#1 4, web#2 3
    ("openai", "Storefront", "direct"): "1",
    ("openai", "Storefront", "abandoned"): "5",
    ("openai", "Storefront", "suggested"): "2",
    ("openai", "Storefront", "unlinked"): "0.5",
    ("openai", "Payments", "reverted"): "6",
    ("openai", "Payments", "pending"): "3",
    ("openai", "Payments", "not_code"): "20",
    ("openai", "No team", "reverted"): "9",
    ("openai", "No team", "unlinked"): "4",
    ("anthropic", "Payments", "merged"): "2",
    ("anthropic", "Payments", "open"): "7",
}
# Repository: code cost, code cost of the week before, linked.
REPOSITORIES = {
    "acme/web": ("17.5", "1", "15"),
    "acme/api": ("16", "8", "13"),
    "acme/infra": ("9", "0", "9"),
    "No repository": ("4", "0", "0"),
}
TEAMS = {"Payments": ("18", "8", "15"), "Storefront": ("15.5", "1", "13"), "No team": ("13", "0", "9")}
# Path of the JSON's total → value.
TOTAL = {
    "totalCost": 66.5,
    "cost": 46.5,
    "notCodeCost": 20.0,
    "runs": 29,
    "unpricedRuns": 1,
    "mergedPullRequests": 4,  # web#1, web#2, api#1, infra#1
    "abandonedPullRequests": 1,
    "revertedPullRequests": 1,  # infra#1 was reverted after 40 days
    "mergedPullRequestCost": 35.0,  # 17 + 3 + 6 + 9
    "directCostPerMerged": 8.75,
    "fullCostPerMerged": 11.625,
    "mergeYield": 0.8,
}


@pytest.fixture(scope="module")
def person(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder: Path = tmp_path_factory.mktemp("overview")
    with database_url(engine) as url:
        store = Store(url, folder=folder)
        with store.write() as tx:
            acme.insert_acme(tx)
        with store.read() as tx:
            organization = find_organization(tx, "org-1")
        assert organization is not None
        add_member(store, organization, "alice@example.com", "owner")
        app = create_app(load_settings({"COSTLENS_DATA": str(folder), "DATABASE_URL": url}))
        yield signed_in(app, store, "alice@example.com")
        app.extensions["costlens"].store.close()
        store.close()


def page(person: Person, name: str, query: str = WEEK) -> str:
    response = person.client.get(f"/app/org-1/{name}?{query}", follow_redirects=True)
    assert response.status_code == 200, response.text
    return response.text


def as_json(person: Person, name: str, query: str = WEEK) -> Any:
    response = person.client.get(f"/app/org-1/{name}?{query}&format=json", follow_redirects=True)
    assert response.status_code == 200, response.text
    return response.json


def as_csv(person: Person, name: str, query: str = WEEK) -> list[dict[str, str]]:
    text = page(person, name, f"{query}&format=csv")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def shown(dollars: str | Decimal) -> str:
    """Money as a page shows it."""
    return f"${Decimal(dollars):,.2f}"


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_the_overview_s_figures_are_those_made_by_hand(person: Person) -> None:
    found = as_json(person, "overview")
    assert {name: found["roi"]["total"][name] for name in TOTAL} == TOTAL
    flows = {(flow["provider"], flow["team"] or "No team", flow["outcome"]): flow["cost"] for flow in found["flows"]}
    assert flows == {key: float(cost) for key, cost in FLOWS.items()}

    *rows, total = as_csv(person, "overview")
    told = {(row["Provider"], row["Team"], row["Outcome"]): Decimal(row["Cost (USD)"]) for row in rows}
    assert told == {key: Decimal(cost) for key, cost in FLOWS.items()}
    assert Decimal(total["Cost (USD)"]) == Decimal("66.5")

    text = words(page(person, "overview"))
    for figure in (
        "$46.50 code + $20.00 not code = $66.50",
        "+250.0 % vs previous 7 days",  # 66.5 after 19
        "28 of 29 runs have a price",
        "$46.50 ÷ 4 = $11.63",
        "direct $8.75",
        "79.6 % of code spend is linked",  # 37 of 46.5
        "anthropic $9.00",
        "openai $57.50",
        "1 run has no price",
    ):
        assert figure in text.replace("  ", " ") or figure in re.sub(r"Why this number: ([^$]*?) .*?", r"\1", text), (
            figure
        )
    for (provider, team, _), cost in FLOWS.items():
        assert re.search(rf"{provider} {team} [A-Z][a-z ]+ {re.escape(shown(cost))}", text), (provider, team)
    for name, (cost, before, _) in REPOSITORIES.items():
        change = f"+{shown(Decimal(cost) - Decimal(before))}"
        assert f"{name} {shown(cost)} {change}" in text, name
    assert "Total $66.50 +$47.50 79.6 %" in text


@pytest.mark.parametrize(
    ("name", "key", "wanted"), [("repositories", "repositories", REPOSITORIES), ("teams", "teams", TEAMS)]
)
def test_roi_rows_are_those_made_by_hand(person: Person, name: str, key: str, wanted: dict[str, Any]) -> None:
    found = as_json(person, name)
    assert {one: found["total"][one] for one in TOTAL} == TOTAL
    assert {row["name"]: (row["cost"], row["previous"]["cost"], row["spend"]["counted"]) for row in found[key]} == {
        name: tuple(map(float, values)) for name, values in wanted.items()
    }

    column = "Repository" if name == "repositories" else "Team"
    rows = {row[column]: row for row in as_csv(person, name)}
    for each, (cost, before, linked) in wanted.items():
        row = rows[each]
        money = [Decimal(row[f"{title} (USD)"]) for title in ("Cost", "Previous cost", "Linked")]
        assert money == [Decimal(cost), Decimal(before), Decimal(linked)], each
    assert Decimal(rows["Total"]["Cost (USD)"]) == Decimal("66.5")

    lines = [json.loads(line) for line in page(person, name, f"{WEEK}&format=ndjson").splitlines()]
    assert lines == found[name]

    text = words(page(person, name))
    for each, (cost, _, _) in wanted.items():
        assert re.search(rf"{each} [^$]*{re.escape(shown(cost))}", text), each
    assert "Total ~$66.50" in text  # ~: usage of some runs is estimated


def test_rows_add_up_to_the_total_under_any_filter(person: Person) -> None:
    @given(
        first=st.dates(date(2026, 11, 5), date(2026, 11, 22)),
        days=st.integers(0, 10),
        team=st.sampled_from(["", "none", str(STOREFRONT), str(PAYMENTS), "999"]),
        repository=st.sampled_from(["", "none", str(WEB), str(API)]),
        provider=st.sampled_from(["", "openai", "anthropic", "nobody"]),
    )
    @settings(max_examples=25, deadline=None)
    def adds_up(first: date, days: int, team: str, repository: str, provider: str) -> None:
        last = min(first + timedelta(days=days), date(2026, 11, 22))
        query = f"from={first}&to={last}&team={team}&repository={repository}&provider={provider}"
        found = as_json(person, "overview", query)
        total = found["roi"]["total"]
        assert sum(flow["cost"] for flow in found["flows"]) == total["totalCost"]
        assert sum(sum(day["byProvider"].values()) for day in found["days"]) == total["totalCost"]
        assert sum(row["cost"] for row in found["roi"]["repositories"]) == total["cost"]
        *rows, end = as_csv(person, "overview", query)
        assert sum(Decimal(row["Cost (USD)"]) for row in rows) == Decimal(end["Cost (USD)"])
        for name in ("repositories", "teams"):
            report = as_json(person, name, query)
            assert report["total"]["totalCost"] == total["totalCost"]
            sums: Counter[str] = Counter()
            for row in report[name]:
                sums.update(row["spend"])
            assert {part: cost for part, cost in sums.items() if cost} == {
                part: cost for part, cost in report["total"]["spend"].items() if cost
            }

    adds_up()


def test_a_period_without_runs_says_so(person: Person) -> None:
    text = words(page(person, "overview", "from=2026-10-01&to=2026-10-07"))
    assert "No run happened in this period under these filters." in text
    assert "No money was spent in this period." in text


def test_a_query_that_cannot_be_used_gets_no_figures(person: Person) -> None:
    response = person.client.get("/app/org-1/overview?period=forever")
    assert response.status_code == 400
    assert "AI cost" not in response.text


def test_the_overview_takes_so_many_statements(person: Person) -> None:
    store = person.client.application.extensions["costlens"].store
    page(person, "overview")
    with acme.statements(store) as seen:
        page(person, "overview")
    assert len(seen) == 25
    assert not [statement for statement, _ in seen if "FROM runs" in statement and "LIMIT" not in statement]
