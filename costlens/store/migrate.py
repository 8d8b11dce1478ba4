"""Migrations: forward only, run before anything serves."""

from __future__ import annotations

import functools
from pathlib import Path

from sqlalchemy import inspect, text

from costlens.store.engine import Store

# Beside the package in a checkout, inside it in a wheel.
_PLACES = (Path(__file__).parents[2] / "migrations", Path(__file__).parents[1] / "_data" / "migrations")

_MIGRATING = 0xC057  # an advisory lock's key; any number that nothing else in the database uses


def _folder() -> Path:
    return next(place for place in _PLACES if (place / "env.py").exists())


@functools.cache
def newest() -> str:
    """The newest revision. Migrations are numbered, and each revision has the number of its file."""
    return max(path.name[:4] for path in (_folder() / "versions").glob("[0-9]*.py"))


def upgrade(store: Store) -> None:
    """Brings the database to the newest revision; creates it when it is empty. Raises Unavailable."""
    if at_head(store):
        return
    # Slow to load, and few starts find something to do.
    from alembic import command
    from alembic.config import Config

    if store.dialect == "sqlite":
        with store.engine.connect() as connection:
            # Kept in the file; done here only, as two processes that switch at the same moment lock each other.
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    with store.write() as tx:
        if store.dialect == "postgresql":
            # Of several processes that start at once, one migrates; the others wait, however long it takes.
            tx.execute(text("SET LOCAL lock_timeout = 0"))
            tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        config.attributes["connection"] = tx
        command.upgrade(config, "head")


def at_head(store: Store) -> bool:
    """Whether the database is at the newest revision. Raises Unavailable."""
    with store.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return False
        return tx.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest()]
