"""Assumptions, estimate, comparison and kept reports over the API."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from costlens.domain.roi import Window
from costlens.services.keys import create_key
from costlens.services.team_reports import make
from costlens.store.engine import Store
from costlens.web.shapes.reports import ReportShape
from tests.web.caller import Caller, error_of
from tests.web.conftest import PERIOD, Shipped
from tests.web.people import audit_of

GIVEN = {
    "since": "2025-01-01", "hourlyCost": 87.5, "seatsPerMonth": 1200, "hoursSaved": {"low": 0.2, "mid": 0.5, "high": 1},
    "reworkHours": 2,
}  # fmt: skip
JANUARY = Window(date(2025, 1, 1), date(2025, 1, 31), "UTC")


@pytest.fixture
def admin(app: Flask, store: Store, shipped: Shipped) -> Caller:
    return Caller(app, create_key(store, "Acme", "admin's", scopes="ingest read admin"))


def put(caller: Caller, **body: Any) -> TestResponse:
    return caller.client.put("/roi/assumptions", headers=caller.headers, json=GIVEN | body)


def test_assumptions_and_what_follows(store: Store, shipped: Shipped, admin: Caller, alice: Caller) -> None:
    assert alice.json("/roi/assumptions") == {"team": None, "assumptions": []}
    before = alice.json(f"/roi/estimate?{PERIOD}")
    assert (before["refused"]["code"], before["result"]) == ("not_set", None)
    assert put(admin).status_code == 200
    line = alice.json("/roi/assumptions")["assumptions"][0]
    assert (line["since"], line["hourlyCost"], line["recapture"], line["setBy"]) == (
        "2025-01-01", 87.5, {"low": 0.5, "mid": 0.75, "high": 1.0}, "key admin's",
    )  # fmt: skip
    after = alice.json(f"/roi/estimate?{PERIOD}")
    assert after["assumptions"]["hourlyCost"] == 87.5
    assert after["basis"]["seats"] == pytest.approx(1200 * 12 / 365.25 * 31)
    assert (after["basis"]["coverage"], after["refused"]["code"]) == (0.6, "few_pull_requests")
    assert put(admin, team="storefront", hourlyCost=200).json["team"] == "Storefront"
    assert alice.json(f"/roi/estimate?{PERIOD}&team=Storefront")["assumptions"]["hourlyCost"] == 200
    assert [entry[1:] for entry in audit_of(store, shipped.organization.id)][-2:] == [
        ("roi_assumptions.set", "Acme"), ("roi_assumptions.set", "Storefront"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"hoursSaved": {"low": 2, "mid": 1, "high": 3}}, "hours"),
        ({"recapture": {"low": 0.5, "mid": 0.75, "high": 1.5}}, "recapture"),
        ({"hourlyCost": 0}, "hourlyCost"),
        ({"since": "soon"}, "since"),
        ({"survey": {"mean": 1, "deviation": 1, "answers": 1}}, "survey.answers"),
        ({"survey": {"mean": 1, "deviation": 1, "answers": 9}}, "survey"),  # beside hoursSaved
    ],
)
def test_assumptions_that_nobody_can_mean(admin: Caller, body: dict[str, Any], field: str) -> None:
    assert error_of(put(admin, **body), 400, "invalid_input")["field"] == field


def test_who_may_set_them(admin: Caller, alice: Caller, charlie: Caller) -> None:
    error_of(put(alice), 403, "forbidden")  # her key was made without the scope
    error_of(put(admin, team="Payments"), 404, "not_found")
    assert charlie.json("/roi/assumptions")["assumptions"] == []


def test_kept_reports(store: Store, shipped: Shipped, alice: Caller, charlie: Caller) -> None:
    ids = [make(store, shipped.organization.id, "organization", 0, kind="week", window=JANUARY) for _ in range(3)]
    listed = alice.json("/roi/reports?limit=2")
    assert [(one["id"], one["version"]) for one in listed["reports"]] == [(ids[2], 3), (ids[1], 2)]
    assert [one["id"] for one in alice.json(f"/roi/reports?cursor={listed['nextCursor']}")["reports"]] == [ids[0]]
    assert alice.json("/roi/reports?kind=month")["reports"] == []
    assert alice.json("/roi/reports?team=Storefront")["reports"] == []
    assert len(alice.json("/roi/reports?scope=organization")["reports"]) == 3

    found = alice.get(f"/roi/reports/{ids[0]}")
    shown = msgspec.json.decode(found.data, type=ReportShape)
    assert msgspec.to_builtins(shown) == found.json  # exactly as described
    report = alice.json(f"/roi/repositories?{PERIOD}")
    assert found.json["figures"] == report
    csv = alice.get(f"/roi/reports/{ids[0]}?format=csv").text
    assert csv == alice.get(f"/roi/repositories?{PERIOD}&format=csv").text
    error_of(charlie.get(f"/roi/reports/{ids[0]}"), 404, "not_found")
    assert charlie.json("/roi/reports")["reports"] == []
    error_of(alice.get("/roi/reports?cursor=x"), 400, "invalid_input")


def test_the_comparison(alice: Caller, shipped: Shipped) -> None:
    answer = alice.json("/roi/comparison")
    assert date.fromisoformat(answer["endDate"]) - date.fromisoformat(answer["startDate"]) == date(2, 12, 30) - date(
        2, 1, 1
    )
    assert {one["verdict"] for one in answer["metrics"]} == {"not_enough_data"}
    error_of(alice.get("/roi/comparison?provider=openai"), 400, "invalid_input")
