"""Prices over the API: models in use, own prices and aliases, repricing with a dry run, back-fill."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from costlens.services.keys import create_key
from costlens.services.verify import check
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.api import prices
from tests.web.caller import Caller, error_of

HOUSE = {"provider": "openai", "model": "house-model"}
RUN = HOUSE | {"inputTokens": 1000, "outputTokens": 100}
RATES = {"inputUncached": 2.5, "outputText": 10}  # 0.0035 dollars for RUN


@pytest.fixture
def admin(store: Store, app: Flask, alice_key: str) -> Caller:
    return Caller(app, create_key(store, "Acme", "admin", scopes="ingest read admin"))


def put(caller: Caller, **body: Any) -> TestResponse:
    return caller.client.put("/models/prices", headers=caller.headers, json=HOUSE | body)


def reprice(caller: Caller, **body: Any) -> Any:
    answer = caller.post("/models/reprice", body)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_from_unpriced_to_priced(store: Store, acme: Organization, admin: Caller) -> None:
    run = admin.post("/integrations/run", RUN).json["run"]["id"]
    unpriced = admin.json("/models?priced=false")
    assert (unpriced["unpriced"], [one["model"] for one in unpriced["models"]]) == (1, ["house-model"])
    assert unpriced["models"][0]["rates"] is None
    explained = admin.json(f"/runs/{run}")["run"]["price"]
    assert explained["note"].startswith("No price is known for house-model")
    price = put(admin, rates=RATES).json["price"]
    assert (price["model"], price["aliasOf"], price["rates"]["inputUncached"]) == ("house-model", None, 2.5)
    assert price["rates"]["cacheRead"] == 2.5  # a class without a rate is billed as the class it is part of
    assert admin.json(f"/runs/{run}")["run"]["price"]["note"] == "A price is known now: reprice to apply it"
    dry = reprice(admin, model="house-model")
    assert (dry["applied"], dry["runs"], dry["changed"]) == (False, 1, 1)
    assert (dry["costBefore"], dry["costAfter"], dry["difference"]) == (0, 0.0035, 0.0035)
    assert (dry["unpricedBefore"], dry["unpricedAfter"]) == (1, 0)
    assert admin.json(f"/runs/{run}")["run"]["cost"] is None  # a dry run changes nothing
    assert reprice(admin, model="house-model", apply=True)["applied"] is True
    assert admin.json(f"/runs/{run}")["run"]["cost"] == 0.0035
    assert reprice(admin, model="house-model", apply=True)["changed"] == 0
    assert admin.json("/analytics/overview")["totalCost"] == 0.0035
    assert check(store, acme.id).differing == 0


def test_back_fill_in_one_call(admin: Caller) -> None:
    run = admin.post("/integrations/run", RUN).json["run"]["id"]
    answer = put(admin, rates=RATES, backfill=True).json
    assert (answer["repriced"]["applied"], answer["repriced"]["changed"]) == (True, 1)
    assert admin.json(f"/runs/{run}")["run"]["cost"] == 0.0035


def test_an_alias(admin: Caller) -> None:
    assert put(admin, aliasOf="gpt-5.4").status_code == 200
    run = admin.post("/integrations/run", RUN).json["run"]
    assert run["cost"] == 0.004
    assert admin.json("/models")["models"][0]["priceModel"] == "openai/gpt-5.4"
    error = error_of(put(admin, aliasOf="gpt-unheard-of"), 400, "invalid_input")
    assert error["field"] == "aliasOf"


def test_prices_by_date(admin: Caller) -> None:
    put(admin, rates=RATES, effectiveFrom="2025-01-01T00:00:00Z")
    put(admin, rates={"inputUncached": 5, "outputText": 20}, effectiveFrom="2025-06-01T00:00:00Z")
    costs = [
        admin.post("/integrations/run", RUN | {"timestamp": at}).json["run"]["cost"]
        for at in ("2024-12-31T23:00:00Z", "2025-05-31T23:59:59Z", "2025-06-01T00:00:00Z")
    ]
    assert costs == [None, 0.0035, 0.007]
    assert [one["effectiveFrom"] for one in admin.json("/models/prices")["prices"]] == [
        "2025-01-01T00:00:00.000Z",
        "2025-06-01T00:00:00.000Z",
    ]


def test_a_price_in_place_of_another_and_removed(admin: Caller, charlie: Caller) -> None:
    first = put(admin, rates=RATES).json["price"]["id"]
    price = put(admin, rates={"inputUncached": 0.1, "outputText": 0.2}).json["price"]
    (kept,) = admin.json("/models/prices")["prices"]
    assert kept == price
    assert kept["rates"]["inputUncached"] == 0.1
    assert charlie.json("/models/prices")["prices"] == []
    delete = f"/models/prices/{price['id']}"
    error_of(charlie.client.delete(delete, headers=charlie.headers), 403, "forbidden")
    assert admin.client.delete(delete, headers=admin.headers).json == {"success": True}
    for gone in (first, price["id"], 10**30):
        error_of(admin.client.delete(f"/models/prices/{gone}", headers=admin.headers), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "rates"),
        ({"rates": RATES, "aliasOf": "gpt-5.4"}, "rates"),
        ({"rates": {"inputUncached": 1}}, "rates"),
        ({"rates": {"inputUncached": -1, "outputText": 1}}, "rates.inputUncached"),
        ({"rates": {"inputUncached": 1e9, "outputText": 1}}, "rates.inputUncached"),
        ({"rates": RATES, "effectiveFrom": "soon"}, "effectiveFrom"),
        ({"rates": RATES, "model": " "}, "model"),
    ],
)
def test_a_price_that_cannot_be(admin: Caller, body: dict[str, Any], field: str) -> None:
    assert error_of(put(admin, **body), 400, "invalid_input")["field"] == field


def test_only_an_admin_key_changes_prices(alice: Caller) -> None:
    error_of(put(alice, rates=RATES), 403, "forbidden")
    assert reprice(alice)["changed"] == 0  # looking is allowed
    error_of(alice.post("/models/reprice", {"apply": True}), 403, "forbidden")


def test_repricing_a_period(admin: Caller) -> None:
    for day in ("2025-01-31", "2025-02-01"):
        admin.post("/integrations/run", RUN | {"timestamp": f"{day}T12:00:00Z"})
    put(admin, rates=RATES)
    assert reprice(admin, startDate="2025-02-01")["runs"] == 1
    assert reprice(admin, endDate="2025-01-31")["runs"] == 1
    assert reprice(admin, startDate="2025-01-31", endDate="2025-02-01")["changed"] == 2
    for field in ("startDate", "endDate"):
        for day in ("soon", "0001-01-01", "9999-12-31"):
            assert error_of(admin.post("/models/reprice", {field: day}), 400, "invalid_input")["field"] == field


def test_more_runs_than_one_request_reprices(admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.post("/integrations/batch", {"runs": [RUN] * 3})
    put(admin, rates=RATES)
    monkeypatch.setattr(prices, "AT_ONCE", 2)
    error_of(admin.post("/models/reprice", {"apply": True}), 503, "unavailable")  # no queue is here
    monkeypatch.setattr(prices, "LOOKED_AT", 2)
    assert "3" in error_of(admin.post("/models/reprice", {}), 413, "too_large")["error"]


def test_a_run_explains_its_cost(admin: Caller) -> None:
    body = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "cacheReadTokens": 400,
            "reasoningTokens": 40}  # fmt: skip
    run = admin.json(f"/runs/{admin.post('/integrations/run', body).json['run']['id']}")["run"]
    price = run["price"]
    assert [(line["class"], line["quantity"], line["dollarsPerMillion"]) for line in price["lines"]] == [
        ("inputUncached", 600, 2.5), ("cacheRead", 400, 0.25), ("outputText", 60, 15), ("outputReasoning", 40, 15),
    ]  # fmt: skip
    for line in price["lines"]:
        assert line["cost"] == pytest.approx(line["quantity"] * line["dollarsPerMillion"] / 1e6, abs=1e-9)
    assert price["total"] == run["cost"] == pytest.approx(sum(line["cost"] for line in price["lines"]), abs=1e-12)
    assert price["isCost"] is True
    assert price["source"].startswith("genai-prices ")
    assert price["version"] == run["priceVersion"]
    assert (price["model"], price["note"]) == ("gpt-5.4", None)
    assert "effectiveFrom" in price
    assert "effectiveTo" in price


def test_why_a_cost_is_not_the_price_of_now(admin: Caller) -> None:
    reported = admin.post("/integrations/run", RUN | {"model": "gpt-5.4", "cost": 0.5}).json["run"]["id"]
    put(admin, rates=RATES)
    older = admin.post("/integrations/run", RUN).json["run"]["id"]
    put(admin, rates={"inputUncached": 5, "outputText": 20})
    first, second = (admin.json(f"/runs/{run}")["run"]["price"] for run in (reported, older))
    assert (first["isCost"], first["total"]) == (False, 0.004)
    assert first["note"].startswith("The caller reported the cost")
    assert (second["isCost"], second["total"]) == (False, 0.007)
    assert second["note"].endswith("the prices of now differ: reprice to apply them")


def test_models_as_files(admin: Caller) -> None:
    admin.post("/integrations/batch", {"runs": [RUN, RUN | {"model": "gpt-5.4"}]})
    response = admin.get("/models?format=csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert response.mimetype == "text/csv"
    assert [(row["model"], row["runs"], row["cost"]) for row in rows] == [
        ("gpt-5.4", "1", "0.004"), ("house-model", "1", ""),
    ]  # fmt: skip
    assert len(admin.get("/models?format=ndjson").text.splitlines()) == 2
