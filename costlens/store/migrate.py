"""Migrations: forward only, run before anything serves."""

from __future__ import annotations

import functools
from pathlib import Path

from sqlalchemy import inspect, text

from costlens.store.engine import Store, Tx

# Inside the package in a wheel, beside it in a checkout.
_PLACES = (Path(__file__).parents[1] / "_data" / "migrations", Path(__file__).parents[2] / "migrations")

_MIGRATING = 0xC057  # an advisory lock's key; any number that nothing else in the database uses


def _folder() -> Path:
    return next(place for place in _PLACES if (place / "env.py").exists())


@functools.cache
def newest() -> str:
    """The newest revision. Migrations are numbered, and each revision has the number of its file."""
    return max(path.name[:4] for path in (_folder() / "versions").glob("[0-9]*.py"))


def upgrade(store: Store, revision: str = "head") -> None:
    """Brings the database to the newest revision, or to this one; creates it when it is empty. Raises Unavailable."""
    if store.dialect == "sqlite":
        with store.engine.connect() as connection:
            # Kept in the file; done here only, as two processes that switch at the same moment lock each other.
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    if revision == "head" and at_head(store):
        return
    if store.dialect == "postgresql":
        with store.write() as tx:
            # Of several processes that start at once, one migrates; the others wait, however long it takes.
            tx.execute(text("SET LOCAL lock_timeout = 0"))
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            _run(tx, revision)
        return
    # SQLite changes a table by making it anew, and dropping the old one would delete all rows that refer to it.
    lenient = Store(store.engine.url.render_as_string(hide_password=False), enforce_keys=False)
    try:
        with lenient.write() as tx:
            _run(tx, revision)
            if broken := tx.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise RuntimeError(f"The migration would leave rows that refer to nothing: {broken[:5]}")
    finally:
        lenient.close()


def _run(tx: Tx, revision: str) -> None:
    # Slow to load, and few starts find something to do.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.attributes["connection"] = tx
    command.upgrade(config, revision)


def at_head(store: Store) -> bool:
    """Whether the database is at the newest revision. Raises Unavailable."""
    with store.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return False
        return tx.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest()]
