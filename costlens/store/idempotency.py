"""Answers of requests that carried an Idempotency-Key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import keep_new

_answer = t.idempotent_answers.c


def find(tx: Tx, organization_id: int, key: str) -> Row[Any] | None:
    """The claim or answer of a key; no other transaction changes it before this one ends."""
    query = select(t.idempotent_answers).where(_answer.organization_id == organization_id, _answer.key == key)
    return tx.execute(query.with_for_update()).first()


def claim(tx: Tx, organization_id: int, key: str, digest: bytes, now: datetime, until: datetime) -> bool:
    """Notes that the request of a key is under way. False: it came before."""
    row = {
        "organization_id": organization_id,
        "key": key,
        "digest": digest,
        "started_at": now,
        "expires_at": until,
        "status": None,
        "content_type": None,
        "body": None,
    }
    return keep_new(tx, t.idempotent_answers, row)


def take_over(tx: Tx, organization_id: int, key: str, now: datetime) -> None:
    """Makes a claim whose server was lost that of the request of now."""
    tx.execute(
        update(t.idempotent_answers)
        .where(_answer.organization_id == organization_id, _answer.key == key)
        .values(started_at=now)
    )


def keep(tx: Tx, organization_id: int, key: str, status: int, content_type: str, body: bytes) -> None:
    """Stores the answer of a claimed key."""
    tx.execute(
        update(t.idempotent_answers)
        .where(_answer.organization_id == organization_id, _answer.key == key)
        .values(status=status, content_type=content_type, body=body)
    )


def release(tx: Tx, organization_id: int, key: str) -> None:
    """Removes a claim that has no answer."""
    tx.execute(
        delete(t.idempotent_answers).where(
            _answer.organization_id == organization_id, _answer.key == key, _answer.status.is_(None)
        )
    )


def delete_expired(tx: Tx, organization_id: int, now: datetime) -> None:
    """Removes an organization's answers whose day is over."""
    tx.execute(
        delete(t.idempotent_answers).where(_answer.organization_id == organization_id, _answer.expires_at <= now)
    )
