"""Answers of the API: JSON with money as dollars."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from flask import Response

NANOS = 1_000_000_000


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, mimetype="application/json")


def dollars(nanos: int | None) -> float | None:
    """Nano-dollars as dollars, unrounded. None stays None: an unknown cost is never 0."""
    return None if nanos is None else nanos / NANOS


def instant(at: datetime | None) -> str | None:
    """`2026-01-05T12:17:35.528Z`."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
