"""Whole lists, however long: page by page, so that neither memory nor the database is held while a caller reads.

`read` is `page_of_runs` or `page_of_links` with all but the place; each page is a transaction of its own. A row that is
there at the start comes once, unless it changes meanwhile so that the filter or its place in time is another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from costlens.services.runs import Page

PAGE = 200  # rows: a page is made in some milliseconds, in which other requests wait


def every_run(
    read: Callable[..., Page], *, limit: int | None, before: tuple[datetime, int] | None = None
) -> Iterator[Sequence[Any]]:
    """Pages of runs, newest first; `limit` None: all. One empty page when there are none."""
    left = limit
    while left is None or left > 0:
        page = read(limit=_size(left), before=before)
        yield page.rows
        if not page.more:
            return
        last = page.rows[-1]
        before = (last.occurred_at, last.id)
        left = None if left is None else left - len(page.rows)


def every_link(
    read: Callable[..., Page], *, limit: int | None, after: tuple[int, int] | None = None
) -> Iterator[Sequence[Any]]:
    """Pages of links, those of the newest run first; `limit` None: all. One empty page when there are none.

    A run's links come from one page, that is of one moment: linking it anew meanwhile adds none and takes none away.
    """
    left = limit
    while left is None or left > 0:
        page = read(limit=_size(left), after=after)
        rows = page.rows
        if not page.more or len(rows) == left:
            yield rows
            return
        last = rows[-1]
        whole = [row for row in rows if row.run_id != last.run_id]  # of the last run there may be more
        rows, after = (whole, (last.run_id, 0)) if whole else (rows, (last.run_id, last.id))
        yield rows
        left = None if left is None else left - len(rows)


def _size(left: int | None) -> int:
    return PAGE if left is None else min(PAGE, left)
