"""Statements that go to SQLite's driver itself, where SQLAlchemy's work for each would cost more than SQLite's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def write_rows(tx: Connection, sql: str, rows: Iterable[Sequence[Any]]) -> None:
    """Runs the statement for each row. Raises SQLAlchemy's errors."""
    with _errors(tx, sql):
        _driver(tx).executemany(sql, rows)


def read_rows(tx: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What the query answers. Raises SQLAlchemy's errors."""
    with _errors(tx, sql):
        return _driver(tx).execute(sql, values).fetchall()


def _driver(tx: Connection) -> sqlite3.Connection:
    found = tx.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)
    return found


@contextmanager
def _errors(tx: Connection, sql: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DBAPIError.instance(sql, None, error, sqlite3.Error, dialect=tx.dialect) from error
