"""Short lists, which are read whole, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from costlens.domain.errors import InvalidInput
from costlens.web.api import params

Row = TypeVar("Row")


def page_of(rows: Sequence[Row]) -> tuple[Sequence[Row], str | None]:
    """The rows that `limit` and `cursor` ask for, and where the next page begins. Raises InvalidInput."""
    limit, cursor = params.number("limit", 100, 1, 1_000), params.text("cursor") or "0"
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise InvalidInput("cursor is not one of ours", field="cursor")
    start = int(cursor)
    end = start + limit
    return rows[start:end], str(end) if end < len(rows) else None
