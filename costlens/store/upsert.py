"""Insert-or-change statements that read the same on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from costlens.store.engine import Tx


def _insert(tx: Tx, table: Table) -> Any:
    return (postgresql if tx.dialect.name == "postgresql" else sqlite).insert(table)


def insert_one(tx: Tx, table: Table, values: dict[str, Any]) -> int:
    """Stores a new row and answers its id."""
    return int(tx.execute(table.insert().values(values).returning(table.c.id)).scalar_one())


def add_to(tx: Tx, table: Table, rows: Sequence[dict[str, Any]], measures: Sequence[str]) -> None:
    """Adds each row's measures to the stored row of the same primary key, or stores it as new."""
    if not rows:
        return
    statement = _insert(tx, table)
    statement = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + statement.excluded[name] for name in measures},
    )
    tx.execute(statement, list(rows))


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
