"""A database of its own for a test, on either engine."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import event, text

from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from tests.postgres import KeptRows, keep_rows, postgres_database, restore_rows

Kept = bytes | KeptRows  # a SQLite file, or the rows of PostgreSQL's tables

ENGINES = ("sqlite", "postgresql")
# For a test of what only one engine has; each says why.
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


@contextmanager
def database_url(engine: str, *, migrated: bool = True, kept: Kept | None = None) -> Iterator[str]:
    """The address of a database with all tables and no rows, those kept, or nothing; it is removed afterwards."""
    if engine == "postgresql":
        with postgres_database(migrated=migrated) as url:
            if isinstance(kept, KeptRows):
                restore_rows(url, kept)
            yield url
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "costlens.db"
            if migrated:
                path.write_bytes(kept if isinstance(kept, bytes) else _migrated_file())
            yield f"sqlite:///{path}"


def keep(url: str) -> Kept:
    """What is in a database that nobody has open, for others to begin with."""
    return Path(url.removeprefix("sqlite:///")).read_bytes() if url.startswith("sqlite") else keep_rows(url)


@contextmanager
def database_setting(engine: str) -> Iterator[dict[str, str]]:
    """What an environment says to have a database without tables: of SQLite nothing, its file is in the data folder."""
    if engine == "sqlite":
        yield {}
        return
    with database_url(engine, migrated=False) as url:
        yield {"DATABASE_URL": url}


@contextmanager
def open_store(engine: str) -> Iterator[Store]:
    """A migrated store without rows."""
    with database_url(engine) as url:
        store = Store(url)
        if engine == "sqlite":
            # A test needs no file that survives a power cut.
            event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
        try:
            yield store
        finally:
            store.close()


@functools.cache
def _migrated_file() -> bytes:
    """A SQLite file with all tables and no rows."""
    with database_url("sqlite", migrated=False) as url:
        store = Store(url)
        upgrade(store)
        store.close()  # the last connection to close empties the write-ahead log into the file
        return Path(url.removeprefix("sqlite:///")).read_bytes()


def refuse(store: Store, table: str, verb: str = "INSERT", when: str = "") -> None:
    """From now on this verb on the table is an integrity error, for rows of which `when` holds; see `allow`."""
    condition = f"WHEN ({when})" if when else ""
    with store.write() as tx:
        if store.dialect == "postgresql":
            raising = "BEGIN RAISE integrity_constraint_violation; END"
            tx.execute(text(f"CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS '{raising}'"))
            does = f"FOR EACH ROW {condition} EXECUTE FUNCTION refuse()"
        else:
            does = f"{condition} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        tx.execute(text(f"CREATE TRIGGER refuse_{verb} AFTER {verb} ON {table} {does}"))


def allow(store: Store, table: str, verb: str = "INSERT") -> None:
    """Ends what `refuse` began."""
    with store.write() as tx:
        on = f" ON {table}" if store.dialect == "postgresql" else ""
        tx.execute(text(f"DROP TRIGGER refuse_{verb}{on}"))
