"""Queries that every ingest asks: built once, as building one costs more than SQLite needs to answer it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from costlens.store.engine import Tx
from costlens.store.sqlite_driver import read_rows

Query = Callable[[], Select[Any]]


def look_up(tx: Tx, query: Query, **given: Any) -> Sequence[tuple[Any, ...]]:
    """The rows of a query whose columns need no conversion, with its parameters; a list is for `among`."""
    if tx.dialect.name != "sqlite":
        return [tuple(row) for row in tx.execute(_built(query), given)]
    sql, names, own = _compiled(query)
    return read_rows(tx, sql, [_sqlite_value(given[name] if name in given else own[name]) for name in names])


@functools.cache
def _built(query: Query) -> Select[Any]:
    return query()


@functools.cache
def _compiled(query: Query) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The text for SQLite, the names of its parameters in order, and the values of those that the query itself has."""
    compiled = query().compile(dialect=sqlite.dialect(paramstyle="qmark"))
    assert isinstance(compiled, SQLCompiler)
    return str(compiled), tuple(compiled.positiontup or ()), dict(compiled.construct_params(_check=False))


def _sqlite_value(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value
