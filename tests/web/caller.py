"""Calls of the API with a key, and what every test asks of an answer."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from costlens.store import tables as t
from costlens.store.engine import Store

LEDGER_TABLES = (t.runs, t.run_keys, t.rollup_15m, t.rollup_day, t.rollup_latency, t.rollup_links)


class Caller:
    """A program with an API key (None: without one) and no cookies."""

    def __init__(self, app: Flask, key: str | None) -> None:
        self.client = app.test_client(use_cookies=False)
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=self.headers)

    def post(self, path: str, body: Any) -> TestResponse:
        """Posts JSON: bytes and text as they are, anything else encoded."""
        if isinstance(body, bytes | str):
            return self.client.post(path, headers=self.headers, data=body, content_type="application/json")
        return self.client.post(path, headers=self.headers, json=body)

    def json(self, path: str) -> Any:
        """What a GET answers; it must succeed."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json


def error_of(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The body of an error, after a check of its one shape."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    body = response.json
    assert {"error", "code", "requestId"} <= body.keys() <= {"error", "code", "requestId", "field", "retryAfter"}
    assert body["code"] == code
    assert all(isinstance(body[name], str) and body[name] for name in body.keys() - {"retryAfter"})
    assert response.headers["X-Request-Id"] == body["requestId"]
    assert "Traceback" not in response.text
    assert "sqlalchemy" not in response.text.lower()
    return body


def stored(store: Store) -> dict[str, int]:
    """Rows of every table that a run changes."""
    with store.read() as tx:
        return {table.name: tx.scalar(select(func.count()).select_from(table)) or 0 for table in LEDGER_TABLES}
