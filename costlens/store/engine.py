"""The database handle: one engine, and the two ways to use it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, FromClause, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from costlens.config import SettingsError
from costlens.domain.errors import Unavailable
from costlens.store.shared_number import SharedNumber
from costlens.store.writer_turn import WriterTurn

Tx = Connection  # what every function of the store takes first: an open transaction

BUSY_SECONDS = 10
CONNECT_SECONDS = 5
YIELD_SECONDS = 0.05

# PostgreSQL's codes of a transaction that lost against another and may simply be done again.
_LOST = ("40001", "40P01")  # serialization failure, deadlock

T = TypeVar("T")


class Store:
    """An engine with `read` (a snapshot) and `write` (a transaction that commits, or leaves nothing).

    Keys of other tables are enforced unless `enforce_keys` is false, which only SQLite heeds and only migrations want.
    `folder` is one that all processes on this machine with this database share: there lies the number by which they
    tell each other that access changed. Of SQLite it lies beside the database.
    """

    def __init__(self, url: str, *, enforce_keys: bool = True, folder: Path | None = None) -> None:
        self.engine: Engine = _engine(url, enforce_keys)
        self.dialect = self.engine.dialect.name
        # SQLite's BEGIN is such a snapshot by itself.
        snapshot = (
            {} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        self._reader = self.engine.execution_options(**snapshot)
        self._turn = WriterTurn(self.engine.url.database) if self.dialect == "sqlite" else None
        self.access = SharedNumber(_access_file(self.engine.url, folder))

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that sees one state of the data and writes nothing. Raises Unavailable."""
        with _unavailable(), self._reader.connect() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A transaction that commits at the end; an exception rolls all of it back. Raises Unavailable."""
        with _unavailable(), self._writing(), self.engine.connect() as tx:
            # SQLite: take the write lock now, a read that becomes a write later fails when another writer was faster.
            tx.info["write"] = True
            with tx.begin():
                yield tx

    def transact(self, work: Callable[[Tx], T]) -> T:
        """`work` in a write transaction, again from the start when another writer came in between.

        That is: it stored the same key meanwhile, or each of the two waited for the other.
        """
        for _ in range(3):
            try:
                with self.write() as tx:
                    return work(tx)
            except IntegrityError:
                continue
            except Unavailable as error:
                if not _lost(error.__cause__):
                    raise
                time.sleep(YIELD_SECONDS)  # the one that won goes on first, or both meet again
        with self.write() as tx:
            return work(tx)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.take(BUSY_SECONDS):
            raise Unavailable("The database is busy; nothing was stored, send it again", retry_after=1)
        try:
            yield
        finally:
            self._turn.give_back()

    def close(self) -> None:
        self.engine.dispose()
        self.access.close()
        if self._turn is not None:
            self._turn.close()


def _access_file(url: URL, folder: Path | None) -> Path | None:
    """None: no other process can be told."""
    if url.get_backend_name() == "sqlite":
        return Path(f"{url.database}-access") if url.database not in (None, "", ":memory:") else None
    return folder / "access-version" if folder else None


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        # SQLite also says OperationalError of a wrong statement (code 1), which waiting does not mend.
        if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise
        raise Unavailable("The database is busy or away; nothing was stored, send it again", retry_after=1) from error
    except PoolTimeout as error:
        raise Unavailable("The database is busy; nothing was stored, send it again", retry_after=1) from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise  # a kind of its own, such as a key stored twice
        raise Unavailable(f"The database cannot be used: {error.orig}", retry_after=60) from error


def _lost(error: BaseException | None) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _LOST


def _engine(url: str, enforce_keys: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:  # its text would show a password
        raise SettingsError("DATABASE_URL: cannot be read as an address") from None
    return _sqlite(parsed, enforce_keys) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)


def _postgresql(url: URL) -> Engine:
    wishes = {"connect_timeout": CONNECT_SECONDS, "application_name": "costlens"}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),  # `postgresql:` alone would mean another driver
        isolation_level="READ COMMITTED",  # whatever the server's default: writers lock what they change
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=8,
        pool_timeout=BUSY_SECONDS,
        connect_args={name: value for name, value in wishes.items() if name not in url.query},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    return engine


class _Compiler(SQLiteCompiler):
    """SQLAlchemy's own leaves the hints of `with_hint` out: that a table is INDEXED BY an index."""

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text


def _sqlite(url: URL, enforce_keys: bool) -> Engine:
    # The connection that was used last is taken first: its cache and prepared statements are the warmest.
    engine = create_engine(
        url, connect_args={"timeout": BUSY_SECONDS}, pool_size=8, max_overflow=32, pool_use_lifo=True
    )
    engine.dialect.statement_compiler = _Compiler

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # no implicit BEGIN: `write` says when a transaction starts
        cursor = connection.cursor()
        # WAL itself is set once when migrating: two processes that switch at the same moment lock each other.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA foreign_keys = {int(enforce_keys)}")
        cursor.execute("PRAGMA cache_size = -32000")
        cursor.execute("PRAGMA temp_store = MEMORY")
        # 16 MiB of log between checkpoints: a page of sums that many transactions change is copied once.
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.pop("write", False) else "BEGIN")

    return engine
