"""The filter bar: what a query may say, what is said of one that cannot be used, and the way back to an address."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from costlens.services.organizations import sign_in_link
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.web.ui.filter_bar import bar_of
from costlens.web.ui.filters import query_of, read
from costlens.web.ui.lists import PullFilters, RunFilters
from costlens.web.ui.nav import Nav
from costlens.web.ui.roi import RoiFilters
from tests.web.caller import Caller
from tests.web.conftest import Shipped

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
NAV = Nav(
    "Acme",
    "acme",
    "http://127.0.0.1:8787",
    teams=((1, "Payments"),),
    repositories=((7, "acme/web"),),
    providers=("openai",),
)


def chosen(kind: Any, **query: str) -> Any:
    return read(kind, query, "UTC", NOW)


def test_a_query_without_anything_means_the_defaults() -> None:
    found = chosen(RoiFilters)
    assert found.filters == RoiFilters()
    assert (found.window.start, found.window.end) == (date(2026, 10, 27), date(2026, 11, 23))
    assert found.problems == ()
    assert query_of(found.filters) == {}


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        (RoiFilters, {"period": "12m", "compare": "none", "team": "3", "repository": "none", "provider": "openai"}),
        (RoiFilters, {"sort": "break_even", "dir": "asc", "from": "2026-02-01", "to": "2026-02-28"}),
        (RunFilters, {"model": "gpt-5.4", "environment": "none", "prompt": "review-v2", "state": "code", "pull": "9"}),
        (RunFilters, {"price": "none", "reason": "no_repo", "cursor": "MS4y"}),
        (PullFilters, {"outcome": "closed", "team": "none", "from": "2026-11-01"}),
    ],
)
def test_filters_survive_the_round_trip(kind: Any, query: dict[str, str]) -> None:
    found = chosen(kind, **query)
    assert found.problems == ()
    assert query_of(found.filters) == query


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"period": "forever"}, "period: “forever” is not one of 7d, 28d, 91d, 12m."),
        ({"compare": "last-year"}, "compare: “last-year” is not one of previous, none."),
        ({"team": "abc"}, "team: “abc” is neither an id nor none."),
        ({"team": "-1"}, "team: “-1” is neither an id nor none."),
        ({"team": "²"}, "team: “²” is neither an id nor none."),
        ({"repository": "9" * 30}, "repository: “999999999999999999999999999999” is neither an id nor none."),
        ({"repository": str(2**63)}, f"repository: “{2**63}” is neither an id nor none."),
        ({"team": "1 OR 1=1"}, "team: “1 OR 1=1” is neither an id nor none."),
        ({"provider": "x" * 301}, f"provider: “{'x' * 40}…” is longer than 300 characters."),
        ({"provider": "a\0b"}, "provider: “a\0b” holds a NUL character."),
        ({"from": "yesterday"}, "from: “yesterday” is not a date such as 2026-01-31."),
        ({"from": "2026-02-30", "to": "2026-03-01"}, "from: “2026-02-30” is not a date such as 2026-01-31."),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "from must not be after to."),
        ({"to": "2026-03-01"}, "from is needed where to is given."),
        ({"from": "1999-12-31"}, "from must not be before 2000-01-01."),
        ({"from": "2010-01-01"}, "The period must not be longer than 1830 days."),
        ({"sort": "beauty"}, "sort: “beauty” is not one of cost, linked, merged, direct, full, cycle, break_even."),
        ({"dir": "up"}, "dir: “up” is not one of asc, desc."),
    ],
)
def test_a_value_that_cannot_be_used_is_told_in_a_sentence(query: dict[str, str], problem: str) -> None:
    assert problem in chosen(RoiFilters, **query).problems


def test_the_dates_of_a_form_do_not_hold_beside_a_preset() -> None:
    dates = {"from": "2026-02-01", "to": "2026-02-28"}
    assert query_of(chosen(RoiFilters, period="7d", **dates).filters) == {"period": "7d"}
    assert query_of(chosen(RoiFilters, period="28d", **dates).filters) == {}
    assert query_of(chosen(RoiFilters, period="dates", **dates).filters) == dates


def test_a_chip_for_each_filter_and_one_link_to_clear_all() -> None:
    found = chosen(RunFilters, period="7d", team="1", repository="none", model="gpt-5.4", state="not_code", cursor="x")
    bar = bar_of(NAV, "runs", found, options={"model": ["gpt-5.4"], "environment": ["ci"]})
    assert [(chip.label, chip.value) for chip in bar.applied] == [
        ("Team", "Payments"),
        ("Repository", "No repository"),
        ("Model", "gpt-5.4"),
        ("Link", "not code"),
    ]
    assert bar.applied[0].without == "/app/acme/runs?period=7d&repository=none&model=gpt-5.4&state=not_code"
    assert bar.clear_url == "/app/acme/runs?period=7d"
    assert bar.hidden == (("state", "not_code"),)
    assert [control.name for control in bar.controls] == ["team", "repository", "provider", "model", "environment"]


def test_a_value_that_the_lists_do_not_offer_is_still_the_chosen_one() -> None:
    bar = bar_of(NAV, "repositories", chosen(RoiFilters, team="99", provider="acme-ai"))
    assert {control.name: control.options[-1] for control in bar.controls if control.name in ("team", "provider")} == {
        "team": ("99", "not known: 99"),
        "provider": ("acme-ai", "acme-ai"),
    }


# On the pages.


@pytest.fixture
def browser(app: Flask, store: Store, shipped: Shipped) -> FlaskClient:
    """alice, signed in."""
    client = app.test_client()
    client.get(f"/sign-in/{sign_in_link(store, 'alice@example.com')}")
    return client


YEAR = "from=2025-01-01&to=2025-12-31"


@pytest.mark.parametrize("page", ["repositories", "teams", "pulls", "runs"])
@pytest.mark.parametrize(
    "query", ["period=forever", "team=abc", "from=2026-02-30", "provider=%00", "from=2026-03-02&to=2026-03-01"]
)
def test_a_page_says_what_it_cannot_use_and_shows_no_figures(browser: FlaskClient, page: str, query: str) -> None:
    response = browser.get(f"/app/acme/{page}?{query}&repository=1")
    assert response.status_code == 400
    assert 'role="alert"' in response.text
    assert 'class="filters"' in response.text
    assert "$" not in response.text
    assert browser.get(re.findall(r'class="btn" href="([^"]+)">Show without it', response.text)[0]).status_code == 200


@pytest.mark.parametrize("page", ["repositories", "teams", "pulls", "runs"])
def test_a_form_leads_to_the_shortest_address(browser: FlaskClient, page: str) -> None:
    form = "period=28d&from=2026-01-01&to=2026-01-28&team=&repository=none&provider=&compare=previous&x=1"
    response = browser.get(f"/app/acme/{page}?{form}")
    assert (response.status_code, response.location) == (302, f"/app/acme/{page}?repository=none")
    assert browser.get(response.location).status_code == 200


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ("", 7), ("&model=gpt-5.4", 6), ("&model=gpt-unheard-of", 1), ("&environment=production", 1),
        ("&environment=none", 6), ("&environment=ci", 0), ("&prompt=write-v2", 1), ("&provider=openai", 7),
        ("&provider=anthropic", 0), ("&repository=none", 1), ("&team=none", 6), ("&state=counted&prompt=write-v2", 1),
        ("&price=none", 1),
    ],
)  # fmt: skip
def test_runs_are_those_of_the_filters(browser: FlaskClient, query: str, runs: int) -> None:
    text = browser.get(f"/app/acme/runs?{YEAR}{query}").text
    found = re.search(r"([\d,]+) runs?</td>", text)
    assert (int(found[1]) if found else 0) == runs
    assert ("No run matches" in text) is (runs == 0)


def test_the_lists_offer_what_runs_of_the_period_name(browser: FlaskClient) -> None:
    text = browser.get(f"/app/acme/runs?{YEAR}").text
    for name in ("gpt-5.4", "gpt-unheard-of", "production", "Storefront", "acme/web", "openai"):
        assert re.search(rf"<option value=\"[^\"]+\"\s*>{name}</option>", text), name
    assert "gpt-5.4</option>" not in browser.get("/app/acme/runs?from=2024-01-01&to=2024-01-31").text


def test_roi_of_one_repository(browser: FlaskClient, store: Store, alice: Caller, shipped: Shipped) -> None:
    alice.post(
        "/integrations/run",
        {
            "provider": "openai",
            "model": "gpt-5.4",
            "tokensUsed": 5,
            "repo": "acme/api",
            "timestamp": "2025-01-20T11:00:00Z",
        },
    )
    with store.read() as tx:
        other = tx.scalar(select(t.repositories.c.id).where(t.repositories.c.name == "acme/api"))
    text = browser.get(f"/app/acme/repositories?{YEAR}&repository={shipped.repository_id}").text
    assert f"repository={shipped.repository_id}&amp;state=counted" in text
    rows = re.findall(r'<th scope="row">\s*<a[^>]*>([^<]+)</a>|<th scope="row">\s*([^<\s][^<]*?)\s*<', text)
    names = {name.strip() for pair in rows for name in pair if name}
    assert "acme/web" in names
    assert "acme/api" not in names
    assert "acme/api" in browser.get(f"/app/acme/repositories?{YEAR}&repository={other}").text


def test_links_of_figures_keep_the_dates(browser: FlaskClient) -> None:
    text = browser.get(f"/app/acme/repositories?{YEAR}&provider=openai").text
    assert "/app/acme/runs?from=2025-01-01&amp;to=2025-12-31&amp;provider=openai&amp;state=counted" in text
    assert "vs previous 365 days" in text


def test_a_list_that_goes_on_keeps_its_filters(browser: FlaskClient, alice: Caller) -> None:
    body = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5, "timestamp": "2025-03-01T00:00:00Z"}
    answer = alice.post("/integrations/batch", {"runs": [body | {"requestId": f"more-{n}"} for n in range(101)]})
    assert answer.status_code == 200
    first = browser.get("/app/acme/runs?from=2025-03-01&to=2025-03-01&model=gpt-5.4").text
    older = re.findall(r'href="([^"]+)"\s+rel="next"', first)[0].replace("&amp;", "&")
    assert "from=2025-03-01&to=2025-03-01&model=gpt-5.4&cursor=" in older
    second = browser.get(older)
    assert second.status_code == 200
    assert len(re.findall('<th scope="row">', second.text)) == 2  # the 101st run, and the total
    assert 'name="cursor"' not in second.text
