"""Answers of the API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response

from costlens.web.application import JsonAnswer


def json_answer(body: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return JsonAnswer(msgspec.json.encode(body), status)
