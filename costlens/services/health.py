"""What the server can do at this moment."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from costlens.domain.errors import Unavailable
from costlens.domain.shown import instant
from costlens.queue import JobQueue
from costlens.store.engine import Store
from costlens.store.migrate import at_head
from costlens.store.rollup_check import last_check


@dataclass(frozen=True, slots=True)
class Health:
    """Each check is true, false or says more; None: it cannot be told."""

    ready: bool  # runs can be stored
    checks: Mapping[str, Any]


def health(store: Store, queue: JobQueue) -> Health:
    """Asks everything. Runs are stored without queue and worker; links then come later.

    `rollups.drift` is how many rows of sums were wrong when they were last compared with the runs.
    """
    try:
        database, migrations = True, at_head(store)
    except Unavailable:
        database = migrations = False
    ready = database and migrations
    workers = queue.workers()
    checks = {
        "database": database,
        "migrations": migrations,
        "queue": workers is not None,
        "worker": None if workers is None else workers > 0,
        "rollups": rollups(store) if ready else None,
        "prices": _prices(),
    }
    return Health(ready, checks)


def rollups(store: Store) -> dict[str, Any]:
    """When sums were last compared with runs (null: never), and how many rows were wrong then. Raises Unavailable."""
    with store.read() as tx:
        at, drift = last_check(tx)
    return {"checkedAt": instant(at), "drift": drift}


@functools.cache
def _prices() -> dict[str, str]:
    """Which list prices are in use, without loading them."""
    return {"version": f"genai-prices {metadata.version('genai-prices')}"}
