"""The description of the API: every route, every error code, and answers that are exactly as described."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from costlens.config import Settings
from costlens.factory import create_app
from costlens.services.keys import create_key
from costlens.store.engine import Store
from costlens.web.openapi.catalogue import OPERATIONS
from costlens.web.openapi.document import document, routes
from costlens.web.openapi.error_codes import error_codes
from tests.web.caller import Caller
from tests.web.conftest import PERIOD, Shipped

ROOT = Path(__file__).parents[2]


@pytest.fixture
def described(alice: Caller) -> Any:
    return alice.json("/openapi.json")


def test_every_route_is_described(app: Flask, described: Any) -> None:
    there = {name for name, _, _ in routes(app.url_map)}
    assert there == OPERATIONS.keys()
    shown = {operation["operationId"] for methods in described["paths"].values() for operation in methods.values()}
    assert shown == there


def test_the_document_is_openapi_3_1(described: Any) -> None:
    assert described["openapi"] == "3.1.0"
    assert described["servers"] == [{"url": "http://localhost"}]
    references = set(re.findall(r"'#/components/schemas/([^']+)'", repr(described)))
    assert references <= described["components"]["schemas"].keys()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert operation["summary"]
            assert [sample["lang"] for sample in operation["x-codeSamples"]][:1] == ["curl"]


def test_bodies_are_described_by_the_types_that_check_them(described: Any) -> None:
    body = described["components"]["schemas"]["RunBody"]
    assert body["required"] == ["provider", "model"]
    assert body["properties"]["provider"] == {"type": "string", "minLength": 1, "maxLength": 100}
    assert body["properties"]["cacheWrite1hTokens"]["anyOf"][0]["maximum"] == 10**12


def test_an_undescribed_route_is_told(settings: Settings) -> None:
    app = create_app(settings)
    app.add_url_rule("/nothing/described", "api_nothing", lambda: "")
    with pytest.raises(KeyError, match="nothing"):
        document(app.url_map, "http://localhost")


def values_in(path: str, shipped: Shipped) -> str:
    values = {
        "run_id": shipped.ids["login"], "prompt_id": "write-v2", "owner": "acme", "repo": "web", "number": "1",
        "person_id": "1", "report_id": "1", "team_id": "1", "member_id": "1", "invitation_id": "1", "key_id": "1",
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], path)


@pytest.fixture
def owner(app: Flask, store: Store, alice_key: str) -> Caller:
    """alice with all scopes."""
    return Caller(app, create_key(store, "Acme", "all", member="alice@example.com", scopes="ingest read admin"))


def test_answers_are_exactly_as_described(app: Flask, shipped: Shipped, owner: Caller) -> None:
    """Each value has its type, and no name is left out or told of nowhere."""
    seen = 0
    assert owner.post("/invitations", {"emails": ["dora@example.com"]}).status_code == 200
    for name, method, path in routes(app.url_map):
        if method != "GET" or name == "cache.get_stats":  # there is no Redis here
            continue
        if OPERATIONS[name].answers is str and name != "metrics.get_metrics":  # here it is off
            continue
        url = f"{values_in(path, shipped)}?{PERIOD}"
        if name == "analytics.get_overview":
            url += "&groupBy=team&compare=previous"
        answer = owner.get(url)
        kind = OPERATIONS[name].answers if answer.status_code == 200 else OPERATIONS[name].also[answer.status_code]
        found = msgspec.json.decode(answer.data, type=kind)
        assert msgspec.to_builtins(found) == answer.json, name
        seen += 1
    assert seen > 20


def test_answers_to_tracked_runs_are_exactly_as_described(alice: Caller) -> None:
    run = {"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5}
    for name, path, body in (
        ("integrations.track_run", "/integrations/run", run),
        ("integrations.track_instant", "/integrations/run/instant", run),
        ("integrations.track_batch", "/integrations/batch", {"runs": [run, {}]}),
        ("integrations.import_runs", "/integrations/import", run),
    ):
        answer = alice.post(path, body)
        assert answer.status_code in (200, 207)
        found = msgspec.json.decode(answer.data, type=OPERATIONS[name].answers)
        assert msgspec.to_builtins(found) == answer.json, name


# There is no such pull request and no queue, but a team of that name; the last owner stays owner.
NOT_HERE = {"runs.decide": 404, "returns.ask_report": 503, "teams.create": 409, "members.change": 409}


def test_every_example_is_accepted(app: Flask, shipped: Shipped, owner: Caller) -> None:
    """What the documentation shows can be sent as it is."""
    sent = 0
    for name, method, path in routes(app.url_map):
        operation = OPERATIONS[name]
        if operation.example is None or (operation.scope == "admin" and operation.held == "any"):
            continue
        url = values_in(path, shipped)
        answer = owner.client.open(url, method=method, headers=owner.headers, json=operation.example)
        assert answer.status_code == NOT_HERE.get(name, 200), (name, answer.text)
        sent += 1
    assert sent > 12


def test_every_error_code_is_told_of(nobody: Caller) -> None:
    told = {one.code for one in error_codes()}
    source = "".join(path.read_text() for path in (ROOT / "costlens").rglob("*.py"))
    used = set(re.findall(r'\bcode="([a-z_]+)"', source))
    used |= set(re.findall(r'^    code = "(\w+)"', source, re.MULTILINE))
    assert used - {"error"} <= told
    page = nobody.get("/docs/errors")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    for one in error_codes():
        assert f'id="{one.code}"' in page.text
        assert str(one.status) in page.text


def test_the_page_has_the_reader_s_host(app: Flask) -> None:
    page = app.test_client().get("/docs", headers={"Host": "costlens.example.com"})
    assert page.status_code == 200
    assert "curl -X POST http://costlens.example.com/integrations/run" in page.text
    for language in ("curl", "Python", "JavaScript"):
        assert f"<summary>{language}</summary>" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    odd = app.test_client().get("/docs", headers={"Host": 'a"><script>'})
    assert "<script>a" not in odd.text
    assert '"><script>' not in odd.text
