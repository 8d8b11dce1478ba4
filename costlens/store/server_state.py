"""Counts over all organizations of a server, which name none of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select

from costlens.store import tables as t
from costlens.store.engine import Tx


def count_organizations(tx: Tx) -> int:
    """How many organizations there are."""
    return int(tx.scalar(select(func.count()).select_from(t.organizations)) or 0)


def count_runs(tx: Tx) -> int:
    """How many runs are stored, as their sums say: counting them one by one takes longer with each."""
    one = t.rollup_dimension.c
    query = (
        select(func.sum(one.runs))
        .select_from(t.organizations)
        .join(t.rollup_dimension, one.organization_id == t.organizations.c.id)
        .where(one.dimension == "provider")
    )
    return int(tx.scalar(query) or 0)


def sync_states(tx: Tx) -> Mapping[str, int]:
    """How many repositories that are read from GitHub are in each state."""
    one = t.github_repositories.c
    rows = tx.execute(select(one.state, func.count()).where(one.chosen).group_by(one.state)).all()
    return {row[0]: int(row[1]) for row in rows}


def oldest_sync(tx: Tx) -> datetime | None:
    """When the repository that has waited longest was last read whole. None: none was yet."""
    one = t.github_repositories.c
    row: Row[Any] | None = tx.execute(
        select(one.succeeded_at)
        .where(one.chosen, one.offered, one.succeeded_at.is_not(None))
        .order_by(one.succeeded_at)
        .limit(1)
    ).first()
    return row[0] if row else None
