"""Insert-or-change statements that read the same on both engines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import JSON, Date, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from costlens.store.engine import Tx
from costlens.store.sqlite_driver import write_rows
from costlens.store.types import Instant, to_millis


def _insert(tx: Tx, table: Table) -> Any:
    return (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(table)


def insert_one(tx: Tx, table: Table, values: dict[str, Any]) -> int:
    """Stores a new row and answers its id."""
    return int(tx.execute(table.insert().values(values).returning(table.c.id)).scalar_one())


def insert_many(tx: Tx, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stores new rows, all with the columns of the first."""
    if rows:
        names = tuple(rows[0])
        _write(tx, _statement(tx.dialect.name, table, names, ()), [[row[name] for row in rows] for name in names])


def insert_tuples(tx: Tx, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Stores new rows, given as tuples of these columns."""
    if rows:
        _write(tx, _statement(tx.dialect.name, table, names, ()), list(zip(*rows, strict=True)))


def add_to(
    tx: Tx,
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    measures: tuple[str, ...],
    replaced: tuple[str, ...] = (),
) -> None:
    """Adds each row's measures to the stored row of the same primary key, or stores it as new.

    The columns of `replaced` get the row's values in place of the stored ones.
    """
    if rows:
        _write(tx, _statement(tx.dialect.name, table, names, measures, replaced), list(zip(*rows, strict=True)))


# Many rows at once go past SQLAlchemy, whose work for each row costs more than the database's: to SQLite as they are by
# one prepared statement, to PostgreSQL as one statement over an array for each column.


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]  # place of a column → how the driver's value is made


@functools.cache
def _statement(
    engine: str, table: Table, names: tuple[str, ...], measures: tuple[str, ...], replaced: tuple[str, ...] = ()
) -> _Statement:
    """Inserts these columns; of a stored row of the same primary key `measures` are added to, and others replaced."""
    types = [table.c[name].type for name in names]
    columns = ", ".join(names)
    if engine == "sqlite":
        source = f"VALUES ({', '.join('?' * len(names))})"
    else:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        kinds = [type_.compile(dialect) for type_ in types]
        arrays = ", ".join(f"%s::{'TEXT' if kind == 'JSON' else kind}[]" for kind in kinds)
        values = ", ".join(f"{name}::JSON" if kind == "JSON" else name for name, kind in zip(names, kinds, strict=True))
        source = f"SELECT {values} FROM unnest({arrays}) AS given ({columns})"
    sql = f"INSERT INTO {table.name} ({columns}) {source}"
    if measures:
        key = ", ".join(column.name for column in table.primary_key.columns)
        sums = [f"{name} = {table.name}.{name} + excluded.{name}" for name in measures]
        sums += [f"{name} = excluded.{name}" for name in replaced]
        sql += f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(sums)}"
    makers = ((place, _converter(engine, type_)) for place, type_ in enumerate(types))
    return _Statement(sql, tuple((place, maker) for place, maker in makers if maker))


def _converter(engine: str, type_: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    if isinstance(type_, Instant):
        return to_millis
    if isinstance(type_, JSON):
        return lambda value: msgspec.json.encode(value).decode()
    return date.isoformat if isinstance(type_, Date) and engine == "sqlite" else None


def _write(tx: Tx, statement: _Statement, columns: list[Sequence[Any]]) -> None:
    for place, convert in statement.converted:
        columns[place] = [None if value is None else convert(value) for value in columns[place]]
    if tx.dialect.name == "sqlite":
        write_rows(tx, statement.sql, zip(*columns, strict=True))
    else:
        tx.exec_driver_sql(statement.sql, tuple(list(column) for column in columns))


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


def keep_new(tx: Tx, table: Table, row: dict[str, Any]) -> bool:
    """Stores a row whose primary key is new. False: there is one, as another transaction may have stored just now."""
    statement = _insert(tx, table).on_conflict_do_nothing().values(**row)
    return tx.execute(statement.returning(*table.primary_key.columns)).first() is not None


def keep_first(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Stores the rows whose primary key is new."""
    if rows:
        tx.execute(_insert(tx, table).on_conflict_do_nothing(), list(rows))
