"""What cannot be used is refused in one shape, names its field, and changes nothing that is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from costlens.services import keys
from costlens.services.keys import create_key, key_hash, revoke_key
from costlens.services.organizations import set_organization
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.api.bodies import RunBody
from tests.web.caller import Caller, error_of, stored

RUN = "/integrations/run"
BATCH = "/integrations/batch"
GOOD = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "requestId": "good-1"}
HUGE = "9" * 400

# Wrong values of every field, as JSON texts. A field that takes anything has an empty list.
_TEXT = ["5", "true", "[]", "{}", '"\\u0000"', '"a\\u0000b"']
_LONG_TEXT = [*_TEXT, json.dumps("x" * 501)]
_NAME = ["5", "true", "[]", "{}", '""', '" "', '"\\u0000"', json.dumps("x" * 201)]
_TOKENS = ["-1", "1.5", '"12"', "true", "[]", "1000000000001", "1e400", HUGE, str(1 << 63), str(-(1 << 63))]
WRONG: dict[str, list[str]] = {
    "provider": [*_NAME, "null"],
    "model": [*_NAME, "null"],
    "input": [],
    "output": [],
    "tokensUsed": _TOKENS,
    "inputTokens": _TOKENS,
    "outputTokens": _TOKENS,
    "cacheReadTokens": _TOKENS,
    "cacheWriteTokens": _TOKENS,
    "cacheWrite1hTokens": _TOKENS,
    "reasoningTokens": _TOKENS,
    "usage": [
        "5", '"x"', "[]", '{"a": 1}', '{"input_tokens": -1}', '{"input_tokens": 1.5}', '{"input_tokens": "12"}',
        '{"input_tokens": true}', f'{{"input_tokens": {1 << 62}}}', f'{{"input_tokens": {HUGE}}}',
        '{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}',
        '{"prompt_tokens": 10, "prompt_tokens_details": 5}',
    ],
    "latency": ["-1", '"12"', "true", "[]", "1000000001", "1e400", HUGE],
    "success": ['"yes"', "1", "0", "[]"],
    "promptId": _LONG_TEXT,
    "id": ["5", "[]", '""', '"\\u0000"', json.dumps("x" * 201)],
    "requestId": ["5", "[]", '""', '"\\u0000"', json.dumps("x" * 201)],
    "correlationId": ["5", "[]", '"\\u0000"', json.dumps("x" * 201)],
    "timestamp": [
        '"yesterday"', "true", "[]", '"2025-13-01T00:00:00Z"', '"0001-01-01T00:00:00+23:59"',
        '"9999-12-31T23:59:59-23:59"', '"2014-12-31T23:59:59Z"', "1736500000", '"2025-01-15"',
    ],
    "requestedModel": ["5", "[]", '""', '"\\u0000"', json.dumps("x" * 201)],
    "cost": ["-0.01", '"1"', "true", "[]", "1000000.01", "1e308", "1e400", HUGE],
    "savings": ['"1"', "true", "[]", "1e400"],
    "error": ["5", "{}", '"\\u0000"'],
    "sessionId": _LONG_TEXT,
    "repo": [*_LONG_TEXT, '"web"', '"acme web"', '"../etc"', '"https://github.com/"'],
    "branch": _LONG_TEXT,
    "commitSha": [*_LONG_TEXT, '"123456"', '"zzzzzzzz"', json.dumps("a" * 65)],
    "commitRole": [*_LONG_TEXT, '"parent"'],
    "prNumber": ["0", "-1", "1.5", '"12"', "true", "[]", str(1 << 31), HUGE],
    "files": ['"a.py"', "{}", "[5]", "[null]", '[""]', '["\\u0000"]', json.dumps(["a.py"] * 51)],
    "actor": _LONG_TEXT,
    "tags": [
        '"a"', "5", "[5]", '{"a": {}}', '{"a": []}', '{"\\u0000": "a"}', '{"a": "\\u0000"}',
        json.dumps([str(n) for n in range(51)]),
    ],
    "environment": _LONG_TEXT,
    "tool": _LONG_TEXT,
    "serviceTier": _LONG_TEXT,
    "processing": _LONG_TEXT,
    "metadata": ["5", '"x"', "[]"],
}  # fmt: skip


@pytest.fixture
def unchanged(store: Store) -> Iterator[Callable[[], None]]:
    """Checks at the end, and when called, that no table of the ledger has a row more or less."""
    before = stored(store)

    def check() -> None:
        assert stored(store) == before

    yield check
    check()


def body_with(name: str, text: str) -> str:
    """A good run whose field `name` is this JSON text."""
    fields = {key: json.dumps(value) for key, value in GOOD.items()} | {name: text}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}"


def test_a_good_run_is_stored(store: Store, alice: Caller) -> None:
    assert alice.post(RUN, GOOD).status_code == 200
    counts = stored(store)
    assert counts.pop("rollup_latency") == 0
    assert set(counts.values()) == {1}


def test_every_field_has_wrong_values() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(RunBody)} == WRONG.keys()


@pytest.mark.parametrize("name", [name for name, texts in WRONG.items() if texts])
def test_a_wrong_value_names_its_field(alice: Caller, unchanged: Callable[[], None], name: str) -> None:
    for text in WRONG[name]:
        body = error_of(alice.post(RUN, body_with(name, text)), 400, "invalid_input")
        found = body.get("field", "").partition("[")[0].partition(".")[0]
        assert found == name, (text[:60], body)
        unchanged()


@pytest.mark.parametrize("name", ["provider", "model"])
def test_a_missing_field_is_named(alice: Caller, unchanged: Callable[[], None], name: str) -> None:
    body = error_of(alice.post(RUN, {key: GOOD[key] for key in GOOD if key != name}), 400, "invalid_input")
    assert body["field"] == name


def test_tokens_are_needed(alice: Caller, unchanged: Callable[[], None]) -> None:
    body = error_of(alice.post(RUN, {"provider": "openai", "model": "gpt-5.4"}), 400, "invalid_input")
    assert body["field"] == "tokensUsed"


@pytest.mark.parametrize("name", ["repo", "branch", "prNumber", "sessionId", "files", "tags"])
def test_a_wrong_value_in_metadata_names_its_field(alice: Caller, unchanged: Callable[[], None], name: str) -> None:
    body = error_of(alice.post(RUN, GOOD | {"metadata": {name: 0.5}}), 400, "invalid_input")
    assert body["field"] == name


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"inputTokens": 10, "cacheReadTokens": 11}, "cacheReadTokens"),
        ({"inputTokens": 10, "cacheReadTokens": 6, "cacheWriteTokens": 6}, "cacheWriteTokens"),
        ({"cacheWriteTokens": 5, "cacheWrite1hTokens": 6}, "cacheWrite1hTokens"),
        ({"outputTokens": 5, "reasoningTokens": 6}, "reasoningTokens"),
        ({"inputTokens": None, "outputTokens": None, "tokensUsed": 5, "reasoningTokens": 6}, "tokensUsed"),
    ],
)
def test_a_part_greater_than_its_whole(
    alice: Caller, unchanged: Callable[[], None], values: dict[str, Any], field: str
) -> None:
    body = error_of(alice.post(RUN, GOOD | values), 400, "invalid_input")
    assert body["field"] == field


def test_timestamp_up_to_an_hour_ahead(store: Store, alice: Caller) -> None:
    now = datetime.now(UTC)
    late = GOOD | {"timestamp": (now + timedelta(minutes=62)).isoformat()}
    body = error_of(alice.post(RUN, late), 400, "invalid_input")
    assert body["field"] == "timestamp"
    assert stored(store)["runs"] == 0
    assert alice.post(RUN, GOOD | {"timestamp": (now + timedelta(minutes=58)).isoformat()}).status_code == 200


@pytest.mark.parametrize("path", [RUN, BATCH])
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"}", b'{"provider": "openai",}', b"{'provider': 'openai'}", b"nonsense", b"\xff\xfe", b"\0",
        b'{"latency": NaN}', b'{"latency": Infinity}', b'{"cost": -Infinity}',
        b'{"provider": "\n"}', b'{"a": "\\x"}', b'{"a": "\\ud83d\\ud83d', b"{} {}",
    ],
    ids=repr,
)  # fmt: skip
def test_malformed_json(alice: Caller, unchanged: Callable[[], None], path: str, body: bytes) -> None:
    error_of(alice.post(path, body), 400, "malformed_json")


def test_a_body_that_is_not_utf_8(alice: Caller, unchanged: Callable[[], None]) -> None:
    error_of(alice.post(RUN, b'{"provider": "openai\xff"}'), 400, "malformed_json")


@pytest.mark.parametrize("path", [RUN, BATCH])
@pytest.mark.parametrize("body", ["null", "1", "true", '"text"', "[]", "[{}]", "[[[["])
def test_json_that_is_no_object(alice: Caller, unchanged: Callable[[], None], path: str, body: str) -> None:
    error_of(alice.post(path, body), 400, "invalid_input")


@pytest.mark.parametrize("name", ["input", "usage", "tags", "metadata", "unknown"])
@pytest.mark.parametrize(("start", "end"), ["[]", ('{"a":', "1}")], ids=["lists", "objects"])
def test_deep_nesting(alice: Caller, unchanged: Callable[[], None], name: str, start: str, end: str) -> None:
    deep = start * 100_000 + ("1" if start != "[" else "") + end * 100_000
    error_of(alice.post(RUN, body_with(name, deep)), 400, "invalid_input")


def test_a_body_past_the_limit(alice: Caller, unchanged: Callable[[], None]) -> None:
    body = json.dumps(GOOD | {"input": "x" * 11 * 1024 * 1024})
    for path in (RUN, BATCH, "/api" + RUN):
        assert str(10 * 1024 * 1024) in error_of(alice.post(path, body), 413, "too_large")["error"]


def test_half_a_surrogate_pair_costs_one_character_and_not_the_run(alice: Caller) -> None:
    body = (
        '{"provider":"openai","model":"gpt-5.4","tokensUsed":5,"promptId":"a\\ud83d","input":"\\ude00\\ud83d\\ude00"}'
    )
    response = alice.post(RUN, body)
    assert response.status_code == 200
    assert response.json["run"]["promptId"] == "a\ufffd"


@pytest.mark.parametrize(
    "content_type", ["application/xml", "multipart/form-data; boundary=x", "application/octet-stream", "text/html"]
)
def test_wrong_content_type(app: Flask, alice_key: str, unchanged: Callable[[], None], content_type: str) -> None:
    headers = {"Authorization": f"Bearer {alice_key}", "Content-Type": content_type}
    for path in (RUN, BATCH, "/runs/run_0000000000000/links"):
        response = app.test_client().post(path, headers=headers, data=json.dumps(GOOD))
        error_of(response, 415, "unsupported_media_type")


# Keys.

KEYS = {
    "missing": None,
    "empty": "Bearer ",
    "only the kind": "Bearer",
    "unknown": "Bearer cl_" + "0" * 64,
    "short": "Bearer cl_1234",
    "upper case": "Bearer CL_" + "A" * 64,
    "another kind": "Basic Y2w6eA==",
    "an injection": "Bearer ' OR 1=1 --",
    "not ASCII": "Bearer cl_ü",
}


@pytest.mark.parametrize("sent", KEYS.values(), ids=KEYS)
def test_a_bad_key(app: Flask, unchanged: Callable[[], None], sent: str | None) -> None:
    client = app.test_client()
    headers = {} if sent is None else {"Authorization": sent.encode().decode("latin-1")}
    for response in (client.post(RUN, headers=headers, json=GOOD), client.get("/usage", headers=headers)):
        body = error_of(response, 401, "unauthorized")
        assert body["error"] == "Unauthorized - Invalid API key"
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_is_refused_before_the_body_is_read(nobody: Caller) -> None:
    error_of(nobody.post(RUN, "{"), 401, "unauthorized")


def test_a_revoked_key(store: Store, alice: Caller, alice_key: str, unchanged: Callable[[], None]) -> None:
    assert alice.get("/usage").status_code == 200
    revoke_key(store, "Acme", alice_key[:11])
    error_of(alice.post(RUN, GOOD), 401, "unauthorized")


def test_an_expired_key(store: Store, alice: Caller, alice_key: str, unchanged: Callable[[], None]) -> None:
    def expire(at: datetime) -> None:
        with store.write() as tx:
            tx.execute(update(t.api_keys).where(t.api_keys.c.key_hash == key_hash(alice_key)).values(expires_at=at))
        keys._trusted.forget()  # nothing in the product moves the end of a key that is in use

    now = datetime.now(UTC)
    expire(now + timedelta(minutes=5))
    assert alice.get("/usage").status_code == 200
    expire(now - timedelta(seconds=1))
    error_of(alice.post(RUN, GOOD), 401, "unauthorized")


def test_a_key_without_the_scope(app: Flask, store: Store, acme: Organization, unchanged: Callable[[], None]) -> None:
    reader = Caller(app, create_key(store, acme.name, "reader", scopes="read"))
    body = error_of(reader.post(RUN, GOOD), 403, "forbidden")
    assert "ingest" in body["error"]


# Batches.


def test_one_bad_item_never_loses_the_others(store: Store, alice: Caller) -> None:
    good = [GOOD | {"requestId": f"r{n}", "promptId": f"p{n}"} for n in range(3)]
    bad = [5, None, GOOD | {"inputTokens": -1}, GOOD | {"provider": ""}]
    response = alice.post(BATCH, {"runs": [good[0], bad[0], bad[1], good[1], bad[2], bad[3], good[2]]})
    assert response.status_code == 207
    answer = response.json
    assert answer["success"] is True
    assert (answer["processed"], answer["errors"]) == (3, 4)
    assert [run["requestId"] for run in answer["runs"]] == ["r0", "r1", "r2"]
    assert [run["promptId"] for run in answer["runs"]] == ["p0", "p1", "p2"]
    assert answer["batchStats"] == {"totalRuns": 7, "successful": 3, "failed": 4, "successRate": 42.86}
    assert [item["status"] for item in answer["results"]] == [200, 400, 400, 200, 400, 400, 200]
    assert [item["index"] for item in answer["results"]] == list(range(7))
    details = answer["errorDetails"]
    assert all(item.keys() == {"index", "code", "message", "field"} for item in details)
    assert [(item["index"], item["code"]) for item in details] == [(n, "invalid_input") for n in (1, 2, 4, 5)]
    assert [item["field"] for item in details] == [None, None, "inputTokens", "provider"]
    assert stored(store)["runs"] == 3


def test_only_bad_items(alice: Caller, unchanged: Callable[[], None]) -> None:
    response = alice.post(BATCH, {"runs": [{}, {"provider": 5}]})
    assert response.status_code == 207
    answer = response.json
    assert answer["success"] is False
    assert (answer["processed"], answer["errors"], answer["runs"]) == (0, 2, [])
    assert answer["batchStats"]["successRate"] == 0


@pytest.mark.parametrize("body", ['{"runs": null}', "{}", '{"runs": {}}', '{"runs": "x"}', '{"requests": 5}'])
def test_a_bad_envelope(alice: Caller, unchanged: Callable[[], None], body: str) -> None:
    assert error_of(alice.post(BATCH, body), 400, "invalid_input")["field"] in ("runs", "requests")


@pytest.mark.parametrize("plan", ["free", "starter", "pro", "enterprise", "self-hosted"])
def test_a_batch_past_the_limit_of_the_plan(store: Store, app: Flask, alice: Caller, plan: str) -> None:
    set_organization(store, "Acme", {"plan": plan})
    limit = app.extensions["costlens"].settings.plan(plan).batch_size
    good = [{"provider": "openai", "model": "gpt-5.4", "tokensUsed": 5}] * (limit + 1)
    body = error_of(alice.post(BATCH, {"runs": good}), 413, "batch_too_large")
    assert str(limit) in body["error"]
    assert stored(store)["runs"] == 0
    assert alice.post(BATCH, {"runs": good[:limit]}).json["processed"] == limit


def test_the_same_request_id_with_other_content_is_a_conflict(store: Store, alice: Caller) -> None:
    assert alice.post(RUN, GOOD).status_code == 200
    before = stored(store)
    body = error_of(alice.post(RUN, GOOD | {"inputTokens": 5}), 409, "conflict")
    assert body["field"] == "requestId"
    assert stored(store) == before


# Routes and queries.


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/runs/", "/integrations", "/api", "/runs/a/b/c"])
def test_an_unknown_route(alice: Caller, path: str) -> None:
    error_of(alice.get(path), 404, "not_found")


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_wrong_method(alice: Caller, unchanged: Callable[[], None], prefix: str) -> None:
    response = alice.get(f"{prefix}{RUN}")
    error_of(response, 405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]
    error_of(alice.post(f"{prefix}/usage", {}), 405, "method_not_allowed")


def test_an_id_that_no_database_holds(alice: Caller) -> None:
    for path in ("/people", "/roi/reports", "/roi/pull-requests/acme/web"):
        error_of(alice.get(f"{path}/{'9' * 20}"), 404, "not_found")


@pytest.mark.parametrize(
    "run", ["run_0000000000000", "run_", "run_zzzzzzzzzzzzz", "req_0000000000000", "%00", "1", "é"]
)
def test_an_unknown_run(alice: Caller, run: str) -> None:
    error_of(alice.get(f"/runs/{run}"), 404, "not_found")


LISTS = ("/analytics/overview", "/runs", "/links", "/roi/repositories", "/roi/teams", "/roi/pull-requests")
DATED = tuple(path for path in LISTS if path != "/links")
BAD_QUERIES = [
    *((path, f"startDate={day}", "startDate") for path in DATED for day in ("x", "2025-13-01", "0001-01-01", "%00")),
    *((path, "startDate=2025-02-01&endDate=2025-01-01", "startDate") for path in DATED),
    *((path, "startDate=2025-01-01&endDate=9999-12-31", "endDate") for path in DATED),
    *((path, "endDate=2025-01-01", "startDate") for path in DATED),
    *((path, f"days={days}", "days") for path in DATED for days in ("0", "-1", "1.5", "1831", "9" * 400)),
    *((path, "period=9d", "period") for path in DATED),
    *((path, f"repo={repo}", "repo") for path in LISTS for repo in ("web", "a%00/b", "../../etc")),
    *((path, f"limit={n}", "limit") for path in ("/runs", "/links", "/roi/pull-requests") for n in ("0", "-1", "x")),
    *(
        ("/runs", f"cursor={text}", "cursor")
        # the last three: a time before year 1, a time and an id out of range
        for text in (
            "x", "%00", "a" * 400, "é", "LTEwMDAwMDAwMDAwMDAwMC4x", "MTAwMDAwMDAwMDAwMDAwMC4x",
            "MS4xODQ0Njc0NDA3MzcwOTU1MTYxNg",
        )
    ),
    ("/links", "cursor=x", "cursor"),
    ("/links", "cursor=" + "9" * 30, "cursor"),
    ("/roi/pull-requests", "cursor=x", "cursor"),
    ("/roi/pull-requests", "cursor=-999999999999999_1", "cursor"),
    ("/roi/pull-requests", "outcome=lost", "outcome"),
    ("/runs", "state=lost", "state"),
    ("/runs", "reason=lost", "reason"),
    ("/runs", "priced=maybe", "priced"),
    ("/links", "state=lost", "state"),
    ("/analytics/overview", "timezone=Mars/Base", "timezone"),
    ("/analytics/overview", "timezone=..%2Fetc%2Fpasswd", "timezone"),
    ("/analytics/overview", "format=xml", "format"),
    ("/roi/repositories", "timezone=Europe/Berlin", "timezone"),
    ("/roi/repositories", "format=xml", "format"),
]  # fmt: skip


def test_a_bad_query_names_its_parameter(alice: Caller) -> None:
    for path, query, field in BAD_QUERIES:
        response = alice.get(f"{path}?{query}")
        assert response.status_code == 400, (path, query[:60], response.text)
        assert error_of(response, 400, "invalid_input")["field"] == field, (path, query[:60])


def test_an_unknown_name_in_a_query(alice: Caller) -> None:
    for path in LISTS:
        assert error_of(alice.get(f"{path}?repo=acme/nothing"), 404, "not_found")["field"] == "repo"
        assert error_of(alice.get(f"{path}?team=Nothing"), 404, "not_found")["field"] == "team"


# Random bodies.

_NASTY = st.sampled_from(
    [
        None, True, False, 0, -1, 1 << 31, 1 << 63, 1 << 64, 10**30, 1e308, 5e-324, float("nan"), float("inf"), "", " ",
        "\0", "\ud800", "x" * 600, "=1+1", "2025-01-15T10:00:00Z", "0001-01-01T00:00:00Z", "a/b", [], {}, [[]],
    ]
)  # fmt: skip
_JSON = st.recursive(
    _NASTY | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
_ANONYMOUS = {name: value for name, value in GOOD.items() if name != "requestId"}
_NAMES = st.sampled_from([*WRONG, "tokens", "prompt", "unknown"])
_NATIVE = st.dictionaries(
    st.sampled_from(
        ["input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
         "prompt_tokens_details", "cache_read_input_tokens", "cache_creation", "promptTokenCount", "inputTokens"]
    ),
    st.integers(0, 1000) | _JSON,
    max_size=5,
)  # fmt: skip
_RUN = st.builds(
    lambda changes, usage: _ANONYMOUS | changes | ({"usage": usage} if usage else {}),
    st.just({}) | st.dictionaries(_NAMES, _JSON, max_size=3),
    st.none() | _NATIVE,
)
_OBJECT = (
    st.tuples(st.just(RUN), _RUN | _JSON)
    | st.tuples(st.just(BATCH), st.fixed_dictionaries({"runs": st.lists(_RUN | _JSON, max_size=4)}) | _JSON)
)  # fmt: skip


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A path and a body: JSON with wrong values, or with some of its bytes cut out or replaced."""
    path, value = draw(_OBJECT)
    body = json.dumps(value).encode()
    if draw(st.integers(0, 3)) == 0:
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.binary(max_size=6)) + body[start + draw(st.integers(0, 6)) :]
    return path, body


def test_random_bodies_never_fail_on_our_side(store: Store, acme: Organization, alice: Caller) -> None:
    seen = {200: 0, 207: 0, 400: 0, 409: 0}

    @settings(
        max_examples=2_000, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    @given(_requests())
    def send(request: tuple[str, bytes]) -> None:
        path, body = request
        response = alice.post(path, body)
        assert response.status_code in seen, (response.status_code, body)
        if response.status_code >= 400:
            error_of(response, response.status_code, response.json["code"])
        seen[response.status_code] += 1

    send()
    assert min(seen[200], seen[207], seen[400]) > 50, seen  # the bodies are neither all good nor all refused
    assert check(store, acme.id).findings == ()
