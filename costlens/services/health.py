"""What the server can do at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costlens.domain.errors import Unavailable
from costlens.queue import JobQueue
from costlens.store.engine import Store
from costlens.store.migrate import at_head


@dataclass(frozen=True, slots=True)
class Health:
    """Each check is true or false; None: it cannot be told."""

    ready: bool  # runs can be stored
    checks: Mapping[str, bool | None]


def health(store: Store, queue: JobQueue) -> Health:
    """Asks everything. Runs are stored without queue and worker; links then come later."""
    try:
        database, migrations = True, at_head(store)
    except Unavailable:
        database = migrations = False
    workers = queue.workers()
    checks = {
        "database": database,
        "migrations": migrations,
        "queue": workers is not None,
        "worker": None if workers is None else workers > 0,
    }
    return Health(database and migrations, checks)
