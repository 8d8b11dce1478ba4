"""Long lists in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

CHUNK = 400  # values in one IN list: SQLite takes 32,766 parameters, plans stay readable with fewer


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The values in order and without repeats, so many at a time."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
