"""The audit log: what people changed. Entries are added and read, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select

from costlens.store import tables as t
from costlens.store.engine import Tx


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None: any."""

    since: datetime | None = None
    until: datetime | None = None  # exclusive
    actor: str | None = None
    action: str | None = None


def list_audit(
    tx: Tx, organization_id: int, where: AuditFilter, *, limit: int, before: int | None = None
) -> Sequence[Row[Any]]:
    """Entries, newest first; `before` is the id of the last one of the page before."""
    entry = t.audit_entries.c
    conditions: list[ColumnElement[bool]] = [entry.organization_id == organization_id]
    if where.since is not None:
        conditions.append(entry.at >= where.since)
    if where.until is not None:
        conditions.append(entry.at < where.until)
    if where.actor is not None:
        conditions.append(entry.actor == where.actor)
    if where.action is not None:
        conditions.append(entry.action == where.action)
    if before is not None:
        at = select(entry.at).where(entry.organization_id == organization_id, entry.id == before).scalar_subquery()
        conditions.append(or_(entry.at < at, and_(entry.at == at, entry.id < before)))
    query = select(t.audit_entries).where(*conditions).order_by(entry.at.desc(), entry.id.desc()).limit(limit)
    return tx.execute(query).all()


def audit_values(tx: Tx, organization_id: int) -> tuple[list[str], list[str]]:
    """(who did something, what was done) as the filters offer them, by name."""
    entry = t.audit_entries.c
    mine = entry.organization_id == organization_id
    return (
        list(tx.scalars(select(entry.actor).where(mine).distinct().order_by(entry.actor))),
        list(tx.scalars(select(entry.action).where(mine).distinct().order_by(entry.action))),
    )
