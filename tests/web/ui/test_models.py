"""The page of models, and prices set, tried and removed on screen."""

from __future__ import annotations

import csv
import html
import io
import re

import pytest

from costlens.services.verify import check
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.api import prices
from tests.web.caller import Caller
from tests.web.people import Person, audit_of, notice, text_of

HOUSE = {"provider": "openai", "model": "house-model"}
RUN = HOUSE | {"inputTokens": 1000, "outputTokens": 100}
RATES = {"input": "2.5", "output": "10"}  # 0.0035 dollars for RUN
PRICES = "/app/acme/models/prices"


def send(person: Person, path: str, **data: str) -> str:
    """A form, and what the page that it leads to says came of it."""
    response = person.client.post(path, data=data)
    assert response.status_code == 303, text_of(response)
    return notice(person.client.get(response.location).text)


def test_models_with_prices_and_those_without_first(alice: Caller, owner: Person) -> None:
    known = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
    alice.post("/integrations/batch", {"runs": [known | {"cacheReadTokens": 400}, known, RUN]})
    page = owner.client.get("/app/acme/models").text
    models = re.findall(r'<th scope="row">\s*<a [^>]*>([^<]*)</a>', page)
    assert models[:2] == ["house-model", "gpt-5.4"]
    assert 'href="/app/acme/models/prices?provider=openai&amp;model=house-model#set"' in page
    assert "$2.50 in · $15.00 out" in page
    assert "$0.0009" in page  # 400 tokens at 2.50 instead of 0.25 a million
    rows = list(csv.DictReader(io.StringIO(owner.client.get("/app/acme/models?format=csv").text)))
    assert [(row["model"], row["cost"], row["cacheRead"], row["cacheSaved"]) for row in rows] == [
        ("gpt-5.4", "0.0071", "400", "0.0009"), ("house-model", "", "0", ""),
    ]  # fmt: skip
    shown = owner.client.get("/app/acme/models?format=json").json
    assert shown == alice.json("/models?period=28d")
    assert sum(one["cost"] or 0 for one in shown["models"]) == pytest.approx(shown["total"]["cost"])


def test_a_price_is_shown_tried_and_set(store: Store, acme: Organization, alice: Caller, admin: Person) -> None:
    run = alice.post("/integrations/run", RUN).json["run"]["id"]
    assert "no price is known now" in admin.client.get(f"{PRICES}?provider=openai&model=house-model").text
    tried = admin.client.get(f"{PRICES}/preview", query_string=HOUSE | RATES)
    assert "+$0.0035" in tried.text
    assert "1 → 0" in tried.text
    assert alice.json("/models/prices")["prices"] == []  # a look changes nothing
    assert alice.json(f"/runs/{run}")["run"]["cost"] is None
    told = send(admin, PRICES, **HOUSE, **RATES, backfill="yes")
    assert told == "The price of house-model is set: 1 of 1 runs cost something else now"
    assert alice.json(f"/runs/{run}")["run"]["cost"] == 0.0035
    (price,) = alice.json("/models/prices")["prices"]

    removal = f"{PRICES}/{price['id']}/remove"
    assert "−$0.0035" in admin.client.get(removal).text
    assert send(admin, removal, backfill="no").endswith("runs that are stored keep their cost")
    assert alice.json(f"/runs/{run}")["run"]["cost"] == 0.0035
    assert send(admin, f"{PRICES}/reprice", **HOUSE) == "1 of 1 runs cost something else now"
    assert alice.json(f"/runs/{run}")["run"]["cost"] is None
    assert check(store, acme.id).differing == 0
    done = [entry for entry in audit_of(store, acme.id) if entry[1].startswith(("price.", "runs."))]
    assert done == [
        ("dora@example.com", "price.set", "openai/house-model"),
        ("dora@example.com", "runs.repricing", "runs"),
        ("dora@example.com", "runs.repriced", "runs"),
        ("dora@example.com", "price.removed", "openai/house-model"),
        ("dora@example.com", "runs.repricing", "runs"),
        ("dora@example.com", "runs.repriced", "runs"),
    ]


def test_an_alias_from_a_date_on(alice: Caller, admin: Person) -> None:
    alice.post("/integrations/batch", {"runs": [RUN | {"timestamp": f"2025-02-0{day}T12:00:00Z"} for day in (1, 2)]})
    form = HOUSE | {"kind": "alias", "alias": "gpt-5.4", "since": "2025-02-02"}
    tried = admin.client.get(f"{PRICES}/preview", query_string=form).text
    assert "of 1 run looked at" in tried
    assert "+$0.004" in tried
    send(admin, PRICES, **form, backfill="yes")
    costs = [run["cost"] for run in alice.json("/runs")["runs"]]
    assert costs == [0.004, None]
    wrong = admin.client.get(f"{PRICES}/preview", query_string=form | {"alias": "unheard-of"})
    assert wrong.status_code == 400
    assert "no price is known for unheard-of" in wrong.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input": ""}, "Input: give dollars"),
        ({"output": "-1"}, "Output: give dollars"),
        ({"output": "NaN"}, "Output: give dollars"),
        ({"input": "0.0000001"}, "at most six decimals"),
        ({"cache_read": "2000000"}, "Cache read: give dollars"),
        ({"model": ""}, "The model needs a name"),
        ({"input": "1e999999"}, "Input: give dollars"),
        ({"since": "soon"}, "Give a date such as"),
        ({"since": "0001-01-01"}, "Give a date such as"),
        ({"kind": "alias"}, "The other model needs a name"),
    ],
)
def test_a_price_that_cannot_be_is_told(admin: Person, change: dict[str, str], told: str) -> None:
    for response in (
        admin.client.get(f"{PRICES}/preview", query_string=HOUSE | RATES | change),
        admin.client.post(PRICES, data=HOUSE | RATES | change),
    ):
        assert response.status_code == 400
        assert told in response.text


def test_runs_looked_at_are_listed_where_a_list_can(alice: Caller, admin: Person) -> None:
    alice.post("/integrations/batch", {"runs": [RUN | {"timestamp": f"2025-02-0{day}T12:00:00Z"} for day in (1, 2, 3)]})
    page = admin.client.get(f"{PRICES}/reprice", query_string=HOUSE | {"from": "2025-02-02", "to": "2025-02-02"}).text
    assert "of 1 run looked at" in page
    (url,) = set(re.findall(r'href="(/app/acme/runs\?[^"]*)"', page))
    listed = admin.client.get(f"{html.unescape(url)}&format=json").json["runs"]
    assert [run["timestamp"][:10] for run in listed] == ["2025-02-02"]
    for query in ({}, {"from": "2016-01-01"}, {"to": "2025-02-02"}):  # more than a list's longest period
        assert "/app/acme/runs?" not in admin.client.get(f"{PRICES}/reprice", query_string=HOUSE | query).text


def test_members_look_and_do_not_change(alice: Caller, member: Person) -> None:
    alice.post("/integrations/run", RUN)
    for path in ("/app/acme/models", PRICES):
        page = member.client.get(path).text
        assert "Set price" not in page
        assert "owner or admin can set" in page
    assert member.client.post(PRICES, data=HOUSE | RATES).status_code == 403


def test_more_runs_than_a_page_looks_at(alice: Caller, admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    alice.post("/integrations/batch", {"runs": [RUN] * 3})
    monkeypatch.setattr(prices, "LOOKED_AT", 2)
    monkeypatch.setattr(prices, "AT_ONCE", 2)
    assert "too many to look at on a page" in admin.client.get(f"{PRICES}/preview", query_string=HOUSE | RATES).text
    told = send(admin, PRICES, **HOUSE, **RATES, backfill="yes")
    assert told.startswith("The price of house-model is set: The queue is away")
    assert "unknown, not zero" in admin.client.get("/app/acme/models").text


def test_nothing_to_show_says_why(owner: Person) -> None:
    assert "Send the first run" in owner.client.get("/app/acme/models").text
    assert "all runs are priced by the list" in owner.client.get(PRICES).text
    assert "Nothing changes" in owner.client.get(f"{PRICES}/reprice").text
