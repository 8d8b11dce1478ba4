"""What a job needs, opened in the process that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from costlens.config import load_settings
from costlens.queue import JobQueue
from costlens.store.engine import Store


@contextmanager
def opened() -> Iterator[tuple[Store, JobQueue]]:
    """Store and queue from the settings, closed at the end of the job."""
    settings = load_settings()
    store = Store(settings.database_url, folder=settings.data)
    try:
        yield store, JobQueue(settings.queue_url)
    finally:
        store.close()
