"""The same Idempotency-Key and request get the first answer, for a day, and count once whatever is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from costlens.domain.errors import Conflict
from costlens.services.idempotency import ABANDONED, begin
from costlens.services.keys import create_key
from costlens.store import tables as t
from costlens.store.engine import Store
from tests.web.caller import Caller, error_of, stored

RUN = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 10, "outputTokens": 1}


def post(caller: Caller, path: str, body: Any, key: str = "k-1") -> TestResponse:
    return caller.client.post(path, headers=caller.headers | {"Idempotency-Key": key}, json=body)


def test_the_first_answer_comes_again(store: Store, alice: Caller) -> None:
    first = post(alice, "/integrations/run", RUN)
    again = post(alice, "/integrations/run", RUN)
    assert first.status_code == again.status_code == 200
    assert again.data == first.data
    assert again.mimetype == "application/json"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert stored(store)["runs"] == 1


def test_without_a_key_each_counts(store: Store, alice: Caller) -> None:
    for _ in range(2):
        alice.post("/integrations/run", RUN)
    assert stored(store)["runs"] == 2


def test_both_prefixes_are_one_request(store: Store, alice: Caller) -> None:
    assert post(alice, "/integrations/run", RUN).data == post(alice, "/api/integrations/run", RUN).data
    assert stored(store)["runs"] == 1


def test_a_mixed_batch(store: Store, alice: Caller) -> None:
    first, again = (post(alice, "/integrations/batch", {"runs": [RUN, {}, RUN]}) for _ in range(2))
    assert first.status_code == again.status_code == 207
    assert again.json == first.json
    assert stored(store)["runs"] == 2


def test_any_post(alice: Caller) -> None:
    body = {"selectedModel": "gpt-5.4", "qualityRating": 5}
    first, again = (post(alice, "/quality/feedback", body) for _ in range(2))
    assert (first.json, again.json) == ({"success": True}, {"success": True})
    assert again.headers["Idempotency-Replayed"] == "true"


def test_another_request_with_the_key_is_a_conflict(store: Store, alice: Caller) -> None:
    post(alice, "/integrations/run", RUN)
    for path, body in (("/integrations/run", RUN | {"inputTokens": 11}), ("/integrations/batch", {"runs": [RUN]})):
        assert error_of(post(alice, path, body), 409, "conflict")["field"] == "Idempotency-Key"
    assert stored(store)["runs"] == 1


def test_a_key_is_the_callers_own(store: Store, app: Flask, alice: Caller, charlie: Caller) -> None:
    """Another organization may use the same text; another key of this one may not see the answer."""
    first = post(alice, "/integrations/run", RUN).json["run"]["id"]
    assert post(charlie, "/integrations/run", RUN).json["run"]["id"] != first
    other = Caller(app, create_key(store, "Acme", "another"))
    error_of(post(other, "/integrations/run", RUN), 409, "conflict")


def test_a_refusal_is_kept_and_a_missing_scope_is_not(store: Store, app: Flask, alice: Caller) -> None:
    first, again = (post(alice, "/integrations/run", {"provider": 5}) for _ in range(2))
    assert again.data == first.data  # the same request id too: it is the same answer
    assert first.status_code == 400
    reader = Caller(app, create_key(store, "Acme", "reader", scopes="read"))
    for _ in range(2):
        answer = post(reader, "/integrations/run", RUN, key="k-2")
        assert answer.status_code == 403
        assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "with space", "ü", "x" * 201])
def test_a_key_that_cannot_be_one(alice: Caller, key: str) -> None:
    answer = alice.client.post(
        "/integrations/run", headers={**alice.headers, "Idempotency-Key": key.encode().decode("latin-1")}, json=RUN
    )
    assert error_of(answer, 400, "invalid_input")["field"] == "Idempotency-Key"


def test_after_a_day_the_key_is_free(store: Store, alice: Caller) -> None:
    post(alice, "/integrations/run", RUN)
    with store.write() as tx:
        tx.execute(update(t.idempotent_answers).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert post(alice, "/integrations/run", RUN | {"inputTokens": 11}).status_code == 200
    assert stored(store)["runs"] == 2


def test_a_request_under_way(store: Store, alice: Caller) -> None:
    post(alice, "/integrations/run", RUN)
    with store.write() as tx:
        tx.execute(update(t.idempotent_answers).values(status=None))
    error_of(post(alice, "/integrations/run", RUN), 409, "in_progress")


def test_a_lost_server_counts_nothing_twice(store: Store, alice: Caller) -> None:
    """The runs were stored, the answer was not: a minute later the same request finds them."""
    body = {"runs": [RUN, RUN]}
    first = post(alice, "/integrations/batch", body)
    with store.write() as tx:
        tx.execute(update(t.idempotent_answers).values(status=None, started_at=datetime.now(UTC) - 2 * ABANDONED))
    again = post(alice, "/integrations/batch", body)
    assert again.status_code == 200
    assert [run["id"] for run in again.json["runs"]] == [run["id"] for run in first.json["runs"]]
    assert stored(store)["runs"] == 2


def test_of_many_at_once_one_works(store: Store, acme: Any) -> None:
    now = datetime.now(UTC)

    def claim(_: int) -> str:
        try:
            return str(begin(store, acme.id, "k", b"digest", now))
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(16))) == ["None", *["in_progress"] * 15]
