"""Runs of a selection, page by page, for work that changes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costlens.store.engine import Store
from costlens.store.run_changes import Selection, count_selected, page_of_selected

PAGE = 500  # runs a transaction: short enough that ingest never waits long


def selected(store: Store, organization_id: int, where: Selection) -> Iterator[list[dict[str, Any]]]:
    """Whole rows by time, a page at a time, each read when it is asked for."""
    after: dict[str, Any] | None = None
    while True:
        with store.read() as tx:
            page = page_of_selected(tx, organization_id, where, after=after, limit=PAGE)
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1]


def count(store: Store, organization_id: int, where: Selection) -> int:
    """How many runs a selection has."""
    with store.read() as tx:
        return count_selected(tx, organization_id, where)
