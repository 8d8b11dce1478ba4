"""Answers of the API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, mimetype="application/json")
