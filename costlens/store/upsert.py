"""Insert-or-change statements that read the same on both engines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

from costlens.store.engine import Tx


def _insert(tx: Tx, table: Table) -> Any:
    return (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(table)


def insert_one(tx: Tx, table: Table, values: dict[str, Any]) -> int:
    """Stores a new row and answers its id."""
    return int(tx.execute(table.insert().values(values).returning(table.c.id)).scalar_one())


def insert_many(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Stores new rows, all with the columns of the first."""
    if rows:
        _write_many(tx, _prepared_insert(tx.dialect.name, table, tuple(rows[0])), rows)


def add_to(tx: Tx, table: Table, rows: Sequence[dict[str, Any]], measures: Sequence[str]) -> None:
    """Adds each row's measures to the stored row of the same primary key, or stores it as new."""
    if rows:
        _write_many(tx, _prepared_addition(tx.dialect.name, table, tuple(rows[0]), tuple(measures)), rows)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement for many rows, with what SQLite's driver needs to take it without SQLAlchemy's work for each row."""

    statement: Executable
    sql: str
    names: tuple[str, ...]  # in the order of the placeholders
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]  # place → how the driver's value is made


@functools.cache
def _prepared_insert(engine: str, table: Table, names: tuple[str, ...]) -> _Prepared:
    return _prepare(engine, table, table.insert(), names)


@functools.cache
def _prepared_addition(engine: str, table: Table, names: tuple[str, ...], measures: tuple[str, ...]) -> _Prepared:
    statement = (postgresql if engine == "postgresql" else sqlite).insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + statement.excluded[name] for name in measures},
    )
    return _prepare(engine, table, statement, names)


def _prepare(engine: str, table: Table, statement: Any, names: tuple[str, ...]) -> _Prepared:
    if engine != "sqlite":
        return _Prepared(statement, "", names, ())
    dialect = sqlite.dialect(paramstyle="qmark")
    compiled = statement.compile(dialect=dialect, column_keys=names)
    order = tuple(compiled.positiontup or ())
    processors = (
        (place, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for place, name in enumerate(order)
    )
    return _Prepared(statement, str(compiled), order, tuple((place, made) for place, made in processors if made))


def _write_many(tx: Tx, prepared: _Prepared, rows: Sequence[dict[str, Any]]) -> None:
    if tx.dialect.name != "sqlite":
        tx.execute(prepared.statement, list(rows))
        return
    columns: list[Sequence[Any]] = [[row[name] for row in rows] for name in prepared.names]
    for place, convert in prepared.converted:
        columns[place] = [convert(value) for value in columns[place]]
    tx.exec_driver_sql(prepared.sql, list(zip(*columns, strict=True)))


def put(tx: Tx, table: Table, rows: Sequence[dict[str, Any]], *, key: Sequence[str] | None = None) -> None:
    """Stores each row, replacing the other columns of the stored row of the same key (default: primary key)."""
    if not rows:
        return
    names = list(key or [column.name for column in table.primary_key.columns])
    statement = _insert(tx, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in names}
    if changed:
        statement = statement.on_conflict_do_update(index_elements=names, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=names)
    tx.execute(statement, list(rows))


def keep_first(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Stores the rows whose primary key is new."""
    if rows:
        tx.execute(_insert(tx, table).on_conflict_do_nothing(), list(rows))
