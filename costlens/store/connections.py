"""The connection of an organization to GitHub, and the deliveries of its webhook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import keep_first

Values = dict[str, Any]


def get_connection(tx: Tx, organization_id: int) -> Row[Any] | None:
    """The connection of an organization. None: not connected."""
    return tx.execute(
        select(t.github_connections).where(t.github_connections.c.organization_id == organization_id)
    ).first()


def find_hook(tx: Tx, hook_id: str) -> Row[Any] | None:
    """The connection that webhooks to this address are for. None: nobody's."""
    return tx.execute(select(t.github_connections).where(t.github_connections.c.hook_id == hook_id)).first()


def connected(tx: Tx) -> list[int]:
    """Organizations that are connected."""
    return list(tx.execute(select(t.github_connections.c.organization_id)).scalars())


def lists_due(tx: Tx, listed_before: datetime) -> list[int]:
    """Organizations whose repositories should be listed anew."""
    row = t.github_connections.c
    query = select(row.organization_id).where(
        row.list_due.is_(True) | row.listed_at.is_(None) | (row.listed_at < listed_before)
    )
    return list(tx.execute(query).scalars())


def create_connection(tx: Tx, values: Values) -> None:
    """Stores a new connection."""
    tx.execute(insert(t.github_connections).values(values))


def change_connection(tx: Tx, organization_id: int, values: Values) -> None:
    """Sets columns of a connection."""
    tx.execute(
        update(t.github_connections).where(t.github_connections.c.organization_id == organization_id).values(**values)
    )


def keep_installations(tx: Tx, organization_id: int, accounts: dict[int, str]) -> None:
    """These installations there are, by id with the account; others are forgotten."""
    row = t.github_installations.c
    mine = row.organization_id == organization_id
    tx.execute(delete(t.github_installations).where(mine, row.installation_id.not_in(list(accounts))))
    head = {"organization_id": organization_id}
    keep_first(
        tx,
        t.github_installations,
        [head | {"installation_id": number, "account": account} for number, account in accounts.items()],
    )
    for number, account in accounts.items():
        tx.execute(update(t.github_installations).where(mine, row.installation_id == number).values(account=account))


def assign_team(tx: Tx, organization_id: int, repository_id: int, team_id: int | None) -> None:
    """Gives a repository to a team of the same organization, or to none."""
    row = t.repositories.c
    tx.execute(
        update(t.repositories)
        .where(row.organization_id == organization_id, row.id == repository_id)
        .values(team_id=team_id)
    )


def add_delivery(tx: Tx, values: Values) -> bool:
    """Notes a delivery; False: one of the same GUID was processed before. One that was not is tried again."""
    row = t.github_deliveries.c
    old = tx.execute(
        select(row.id, row.processed_at).where(
            row.organization_id == values["organization_id"], row.guid == values["guid"]
        )
    ).first()
    if old is None:
        keep_first(tx, t.github_deliveries, [values])
    return old is None or old.processed_at is None


def waiting_deliveries(tx: Tx, organization_id: int, limit: int) -> Sequence[Row[Any]]:
    """Deliveries that were not processed yet, oldest first."""
    row = t.github_deliveries.c
    return tx.execute(
        select(t.github_deliveries)
        .where(row.organization_id == organization_id, row.processed_at.is_(None))
        .order_by(row.id)
        .limit(limit)
    ).all()


def organizations_with_deliveries(tx: Tx) -> list[int]:
    """Organizations with deliveries that were not processed yet."""
    row = t.github_deliveries.c
    return list(tx.execute(select(row.organization_id).where(row.processed_at.is_(None)).distinct()).scalars())


def mark_processed(tx: Tx, organization_id: int, ids: Sequence[int], now: datetime) -> None:
    """Notes that these deliveries are done."""
    row = t.github_deliveries.c
    tx.execute(
        update(t.github_deliveries)
        .where(row.organization_id == organization_id, row.id.in_(ids))
        .values(processed_at=now)
    )


def processed_guids(tx: Tx, organization_id: int, guids: Iterable[str]) -> set[str]:
    """Which of these deliveries came and were processed."""
    row = t.github_deliveries.c
    query = select(row.guid).where(
        row.organization_id == organization_id, row.guid.in_(list(guids)), row.processed_at.is_not(None)
    )
    return set(tx.execute(query).scalars())


def delivery_counts(tx: Tx, organization_id: int, since: datetime) -> tuple[int, int]:
    """(deliveries that came since then, deliveries that wait)."""
    row = t.github_deliveries.c
    mine = row.organization_id == organization_id
    came = tx.scalar(select(func.count()).where(mine, row.received_at >= since))
    waiting = tx.scalar(select(func.count()).where(mine, row.processed_at.is_(None)))
    return int(came or 0), int(waiting or 0)


def forget_deliveries(tx: Tx, before: datetime) -> None:
    """Removes processed deliveries of all organizations that came before then: GitHub redelivers no older ones."""
    row = t.github_deliveries.c
    tx.execute(delete(t.github_deliveries).where(row.received_at < before, row.processed_at.is_not(None)))
