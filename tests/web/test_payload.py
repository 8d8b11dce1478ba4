"""Packed bodies in and out, and newline-delimited JSON."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.services.organizations import set_organization
from costlens.store.engine import Store
from tests.web.caller import Caller, error_of, stored

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 10, "outputTokens": 1}


def post(caller: Caller, path: str, body: bytes, kind: str = "application/json", **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.client.post(path, headers=caller.headers | named, data=body, content_type=kind)


def test_a_packed_run(store: Store, alice: Caller) -> None:
    packed = gzip.compress(json.dumps(RUN).encode())
    assert post(alice, "/integrations/run", packed, Content_Encoding="gzip").status_code == 200
    assert post(alice, "/integrations/run", packed, Content_Encoding="GZIP").status_code == 200
    assert stored(store)["runs"] == 2


def test_packed_parts_that_follow_each_other(alice: Caller) -> None:
    text = json.dumps(RUN).encode()
    packed = gzip.compress(text[:20]) + gzip.compress(text[20:])
    assert post(alice, "/integrations/run", packed, Content_Encoding="gzip").status_code == 200


@pytest.mark.parametrize(
    "packed",
    [b"no gzip", gzip.compress(b"{}" * 99)[:-9], gzip.compress(b"{}")[:5]],
    ids=["text", "without its end", "only its beginning"],
)
def test_what_is_not_gzip(alice: Caller, packed: bytes) -> None:
    error_of(post(alice, "/integrations/run", packed, Content_Encoding="gzip"), 400, "invalid_input")


def test_another_encoding(alice: Caller) -> None:
    error_of(post(alice, "/integrations/run", b"x", Content_Encoding="br"), 415, "unsupported_media_type")


def test_a_bomb_is_not_unpacked(store: Store, settings: Settings, alice_key: str) -> None:
    given = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}
    made = create_app(load_settings(given | {"COSTLENS_MAX_BODY_BYTES": "65536"}))
    bomb = gzip.compress(b" " * 20_000_000)
    assert len(bomb) < 65_536
    for body in (bomb, gzip.compress(b" " * 40_000) * 2):
        answer = post(Caller(made, alice_key), "/integrations/run", body, Content_Encoding="gzip")
        assert "65536" in error_of(answer, 413, "too_large")["error"]
    made.extensions["costlens"].store.close()
    assert stored(store)["runs"] == 0


def asked(caller: Caller, path: str, encoding: str | None) -> TestResponse:
    extra = {} if encoding is None else {"Accept-Encoding": encoding}
    return caller.client.get(path, headers=caller.headers | extra)


@pytest.mark.parametrize(
    "path", ["/runs?limit=50", "/runs?format=ndjson", "/runs?format=csv", "/openapi.json", "/roi/teams?format=csv"]
)
def test_long_answers_are_packed_for_who_asks(alice: Caller, path: str) -> None:
    alice.post("/integrations/batch", {"runs": [RUN] * 50})
    plain, packed = asked(alice, path, None), asked(alice, path, "br, gzip;q=0.8")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    refused = asked(alice, path, "gzip;q=0")
    assert refused.data == plain.data


def test_short_answers_and_answers_to_runs_are_not_packed(alice: Caller) -> None:
    assert "Content-Encoding" not in asked(alice, "/usage", "gzip").headers
    body = {"runs": [RUN] * 50}
    answer = alice.client.post("/integrations/batch", headers=alice.headers | {"Accept-Encoding": "gzip"}, json=body)
    assert "Content-Encoding" not in answer.headers


def lines(*runs: Any) -> bytes:
    return b"".join(run if isinstance(run, bytes) else json.dumps(run).encode() + b"\n" for run in runs)


def test_newline_delimited_runs(store: Store, alice: Caller) -> None:
    body = lines(*(RUN | {"requestId": f"r-{n}"} for n in range(1_200)), b"\n")
    answer = post(alice, "/integrations/import", body, "application/x-ndjson")
    assert answer.status_code == 200
    assert (answer.json["processed"], answer.json["new"], answer.json["errors"]) == (1200, 1200, 0)
    again = post(
        alice, "/api/integrations/import", gzip.compress(body), "application/x-ndjson", Content_Encoding="gzip"
    )
    assert (again.json["processed"], again.json["new"]) == (1200, 0)
    assert stored(store)["runs"] == 1200


def test_a_bad_line_costs_the_others_nothing(store: Store, alice: Caller) -> None:
    answer = post(
        alice, "/integrations/import", lines(RUN, b"{not json}\n", {"provider": 5}, RUN), "application/x-ndjson"
    )
    assert answer.status_code == 207
    assert answer.json["batchStats"] == {"totalRuns": 4, "successful": 2, "failed": 2, "successRate": 50}
    told = [(one["index"], one["code"], one["field"]) for one in answer.json["errorDetails"]]
    assert told == [(1, "malformed_json", None), (2, "invalid_input", "provider")]
    assert stored(store)["runs"] == 2


def test_an_import_of_nothing(alice: Caller) -> None:
    answer = post(alice, "/integrations/import", b"\n\n", "application/x-ndjson")
    assert (answer.status_code, answer.json["processed"], answer.json["success"]) == (200, 0, True)


def test_an_import_on_a_limited_plan(store: Store, app: Flask, alice: Caller) -> None:
    set_organization(store, "Acme", {"plan": "free"})
    error_of(post(alice, "/integrations/import", lines(*[RUN] * 11), "application/x-ndjson"), 413, "batch_too_large")
    assert post(alice, "/integrations/import", lines(*[RUN] * 10), "application/x-ndjson").json["processed"] == 10


def test_an_import_under_an_idempotency_key(store: Store, alice: Caller) -> None:
    body = lines(RUN, RUN)
    first, again = (
        post(alice, "/integrations/import", body, "application/x-ndjson", Idempotency_Key="k") for _ in range(2)
    )
    assert first.json == again.json
    assert stored(store)["runs"] == 2


def test_other_routes_do_not_take_lines(alice: Caller) -> None:
    answer = post(alice, "/integrations/run", lines(RUN), "application/x-ndjson")
    error_of(answer, 415, "unsupported_media_type")
