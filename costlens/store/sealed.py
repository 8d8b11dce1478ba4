"""Secrets as they are stored, in every table that has some: what a change of the server's secret seals anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from costlens.store import tables as t
from costlens.store.engine import Tx

SEALED = {
    t.github_connections: ("private_key", "client_secret", "token", "webhook_secret", "old_webhook_secret"),
    t.github_installations: ("token",),
    t.provider_keys: ("sealed",),
}


def sealed_rows(tx: Tx) -> Sequence[tuple[str, dict[str, Any], dict[str, str]]]:
    """(table, key, sealed values by column) of everything that is sealed."""
    found = []
    for table, columns in SEALED.items():
        for row in tx.execute(select(table)).mappings():
            sealed = {name: row[name] for name in columns if row[name] is not None}
            found.append((table.name, {column.name: row[column.name] for column in table.primary_key}, sealed))
    return found


def change_sealed(tx: Tx, table: str, key: dict[str, Any], values: dict[str, str]) -> None:
    """Replaces sealed values of the row with this key."""
    target = t.metadata.tables[table]
    tx.execute(update(target).where(*(target.c[name] == value for name, value in key.items())).values(**values))
