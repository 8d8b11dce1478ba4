"""An organization's own prices: stored, removed, and which models have none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert

from costlens.store import tables as t
from costlens.store.engine import Tx


def put_price(tx: Tx, organization_id: int, values: dict[str, Any]) -> int:
    """Stores a price in place of the one from the same moment on, and answers its id."""
    price = t.price_overrides.c
    tx.execute(
        delete(t.price_overrides).where(
            price.organization_id == organization_id,
            price.provider == values["provider"],
            price.model == values["model"],
            price.effective_from == values["effective_from"],
        )
    )
    row = tx.execute(insert(t.price_overrides).values(organization_id=organization_id, **values).returning(price.id))
    return int(row.scalar_one())


def delete_price(tx: Tx, organization_id: int, price_id: int) -> tuple[str, str, datetime] | None:
    """Removes a price; answers (provider, model, effective from). None: there is none of this id."""
    price = t.price_overrides.c
    row = tx.execute(
        delete(t.price_overrides)
        .where(price.organization_id == organization_id, price.id == price_id)
        .returning(price.provider, price.model, price.effective_from)
    ).first()
    return (row[0], row[1], row[2]) if row else None
