"""Long lists as files, CSV or newline-delimited JSON, streamed page by page."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from flask import Response, request

from costlens.domain.errors import Unavailable
from costlens.domain.spreadsheet import csv_line
from costlens.web.api import params
from costlens.web.errors import request_id

AT_ONCE = 4  # exports in one process: each holds a thread for as long as its client takes to read
SENT_AFTER = 0.2  # seconds; when something is raised granian drops what it has not sent by then
TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}

Objects = Iterable[Mapping[str, Any]]

_BROKEN = {
    "csv": b'"This export is not complete; request %s failed',
    "ndjson": b'{"error":"This export is not complete","code":"internal_error","requestId":"%s"',
}

_slots = threading.BoundedSemaphore(AT_ONCE)


def export_form() -> str | None:
    """`csv` or `ndjson`, as `format` says or else the Accept header; None: pages of JSON. Raises InvalidInput."""
    given = params.choice("format", ("json", *TYPES))
    if given is None:
        best = request.accept_mimetypes.best_match(["application/json", *TYPES.values()])
        given = next((form for form, kind in TYPES.items() if kind == best), "json")
    return None if given == "json" else given


def export_limit() -> int | None:
    """How many rows `limit` asks for; None: all. Raises InvalidInput."""
    return params.number("limit", 0, 1, 10**12) or None


def export_answer(form: str, name: str, columns: Sequence[str], pages: Iterator[Objects]) -> Response:
    """All objects of the pages as a file; `columns` are the names of their values in CSV.

    Raises what the first page raises, and Unavailable when too many exports are under way.
    """
    body = _stream(form, columns, pages, request_id())
    next(body)
    disposition = f'attachment; filename="{name}.{form}"'
    return Response(body, mimetype=TYPES[form], headers={"Content-Disposition": disposition})


def _stream(form: str, columns: Sequence[str], pages: Iterator[Objects], name: str) -> Iterator[bytes]:
    """The file in parts, of which the first is empty and comes with the first page: what fails until then gets an
    answer of its own. `name` is the request's.
    """
    if not _slots.acquire(blocking=False):
        raise Unavailable(f"{AT_ONCE} exports are under way; try again when one has ended", retry_after=10)
    try:
        first = next(pages, ())
        yield b""
        if form == "csv":
            yield csv_line(columns).encode()
        yield from _parts(form, columns, itertools.chain([first], pages), name)
    finally:
        _slots.release()


def _parts(form: str, columns: Sequence[str], pages: Iterator[Objects], name: str) -> Iterator[bytes]:
    """Each page as a part. Granian breaks the answer off when something is raised here, but what stands between may
    end it in order, so a failure has to show in the file too: it ends within a quoted cell or an object, which no
    reader takes for the end.
    """
    try:
        for page in pages:
            yield _csv(columns, page) if form == "csv" else _ndjson(page)
    except Exception as error:
        yield _BROKEN[form] % name.encode()
        time.sleep(SENT_AFTER)
        raise RuntimeError(f"the export of request {name} ended early") from error


def _csv(columns: Sequence[str], objects: Objects) -> bytes:
    return "".join(csv_line([one[name] for name in columns]) for one in objects).encode()


def _ndjson(objects: Objects) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in objects)
