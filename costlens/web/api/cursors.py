"""Cursors of the API: where the next page of a list begins, as text that means nothing to a caller."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from costlens.domain.errors import InvalidInput
from costlens.store.types import from_millis, to_millis

_LATEST = 10**14  # milliseconds
_NUMBERS = 1 << 63


def run_cursor(row: Any) -> str:
    """Where the page after this run begins."""
    return _show(to_millis(row.occurred_at), row.id)


def read_run_cursor(text: str | None) -> tuple[datetime, int] | None:
    """The (occurred_at, id) that `run_cursor` wrote; None at the start. Raises InvalidInput for another text."""
    place = _read(text, _LATEST)
    return (from_millis(place[0]), place[1]) if place else None


def link_cursor(row: Any) -> str:
    """Where the page after this link begins."""
    return _show(row.run_id, row.id)


def read_link_cursor(text: str | None) -> tuple[int, int] | None:
    """The (run_id, id) that `link_cursor` wrote; None at the start. Raises InvalidInput for another text."""
    return _read(text, _NUMBERS)


def _show(first: int, second: int) -> str:
    return base64.urlsafe_b64encode(f"{first}.{second}".encode()).decode().rstrip("=")


def _read(text: str | None, bound: int) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        first, _, second = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(".")
        if not 0 <= int(first) < bound or not 0 <= int(second) < _NUMBERS:
            raise ValueError(text)
        return int(first), int(second)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("cursor is not one of ours", field="cursor") from error


def text_cursor(name: str) -> str:
    """Where the page after what is called so begins."""
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def read_text_cursor(text: str | None) -> str | None:
    """The name that `text_cursor` wrote; None at the start. Raises InvalidInput for another text."""
    if text is None:
        return None
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("cursor is not one of ours", field="cursor") from error
