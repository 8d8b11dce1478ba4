"""A database of its own for a test, on either engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import event

from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from tests.postgres import postgres_database

ENGINES = ("sqlite", "postgresql")


@contextmanager
def database_url(engine: str, *, migrated: bool) -> Iterator[str]:
    """The address of a database without rows; on SQLite it has no tables either."""
    if engine == "postgresql":
        with postgres_database(migrated=migrated) as url:
            yield url
    else:
        with TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'costlens.db'}"


@contextmanager
def open_store(engine: str) -> Iterator[Store]:
    """A migrated store without rows."""
    with database_url(engine, migrated=True) as url:
        store = Store(url)
        if engine == "sqlite":
            # A test needs no file that survives a power cut.
            event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
            upgrade(store)
        try:
            yield store
        finally:
            store.close()
