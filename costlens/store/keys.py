"""API keys as their owners see and change them; who calls is found in `organizations.find_key`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx


def _query(organization_id: int) -> Select[Any]:
    key = t.api_keys.c
    return (
        select(
            t.api_keys,
            t.users.c.email,
            t.members.c.role,
            t.teams.c.name.label("team"),
            t.repositories.c.name.label("repository"),
        )
        .outerjoin(t.members, t.members.c.id == key.member_id)
        .outerjoin(t.users, t.users.c.id == t.members.c.user_id)
        .outerjoin(t.teams, t.teams.c.id == key.team_id)
        .outerjoin(t.repositories, t.repositories.c.id == key.repository_id)
        .where(key.organization_id == organization_id)
    )


def list_keys(tx: Tx, organization_id: int, member_id: int | None) -> Sequence[Row[Any]]:
    """Keys of an organization, or those of one member, newest first."""
    query = _query(organization_id).order_by(t.api_keys.c.id.desc())
    if member_id is not None:
        query = query.where(t.api_keys.c.member_id == member_id)
    return tx.execute(query).all()


def get_key(tx: Tx, organization_id: int, key_id: int) -> Row[Any] | None:
    """A key. None: not of this organization."""
    return tx.execute(_query(organization_id).where(t.api_keys.c.id == key_id)).first()


def change_key(tx: Tx, organization_id: int, key_id: int, values: dict[str, Any]) -> None:
    """Sets these columns of a key."""
    key = t.api_keys.c
    tx.execute(update(t.api_keys).where(key.organization_id == organization_id, key.id == key_id).values(**values))


def take_from_member(tx: Tx, organization_id: int, member_id: int, now: datetime) -> int:
    """Revokes the keys of a member who goes, and unties them; answers how many were valid."""
    key = t.api_keys.c
    mine = (key.organization_id == organization_id, key.member_id == member_id)
    revoked = tx.execute(update(t.api_keys).where(*mine, key.revoked_at.is_(None)).values(revoked_at=now)).rowcount
    tx.execute(update(t.api_keys).where(*mine).values(member_id=None))
    return revoked


def key_by_hash(tx: Tx, organization_id: int, key_hash: bytes) -> int | None:
    """The id of the key of this SHA-256. None: not of this organization."""
    key = t.api_keys.c
    return tx.scalar(select(key.id).where(key.organization_id == organization_id, key.key_hash == key_hash))
