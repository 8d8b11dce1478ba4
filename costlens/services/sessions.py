"""Sessions: begun at sign-in, found by the token in the cookie, ended one by one or all at once."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.domain.errors import NotFound, Unavailable
from costlens.store import organizations as org_store
from costlens.store import sessions as session_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import User
from costlens.store.sessions import Session

SESSION_LIFE = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=5)  # how exactly the last use is known
AGENT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session is used."""

    address: str | None  # None: unknown
    agent: str | None  # None: the browser did not say


@dataclass(frozen=True, slots=True)
class OwnSession:
    """One line of the list of an account's sessions."""

    id: int
    method: str  # link, password, github
    address: str | None  # None: unknown
    agent: str | None  # None: the browser did not say
    created_at: datetime
    seen_at: datetime
    current: bool  # the one that asks


def begin(tx: Tx, user: User, method: str, device: Device, now: datetime) -> str:
    """Begins a session and answers its token, the only time it is known."""
    token = secrets.token_urlsafe(32)
    session_store.remove_ended(tx, now)
    session_store.add_session(
        tx,
        {
            "token_hash": hash_of(token),
            "user_id": user.id,
            "session_version": user.session_version,
            "method": method,
            "address": device.address,
            "agent": _short(device.agent),
            "created_at": now,
            "seen_at": now,
            "expires_at": now + SESSION_LIFE,
        },
    )
    return token


def begin_session(store: Store, user: User, method: str, device: Device, *, now: datetime | None = None) -> str:
    """The same in a transaction of its own."""
    with store.write() as tx:
        return begin(tx, user, method, device, now or datetime.now(UTC))


def find_session(store: Store, token: str, device: Device, *, now: datetime | None = None) -> Session | None:
    """The session of a token, its last use noted now and then. None: there is none, or it has ended."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        found = session_store.find_session(tx, hash_of(token), at)
    if found is not None and at - found.seen_at >= SEEN_EVERY:
        # A database that is busy keeps nobody from reading: the next request notes it.
        with suppress(Unavailable), store.write() as tx:
            values = {
                "seen_at": at,
                "address": device.address,
                "agent": _short(device.agent),
                "expires_at": at + SESSION_LIFE,
            }
            session_store.touch_session(tx, found.id, values)
    return found


def own_sessions(store: Store, user: User, current: int, *, now: datetime | None = None) -> Sequence[OwnSession]:
    """The sessions of an account, last used first."""
    with store.read() as tx:
        rows = session_store.list_sessions(tx, user, now or datetime.now(UTC))
    return [
        OwnSession(row.id, row.method, row.address, row.agent, row.created_at, row.seen_at, row.id == current)
        for row in rows
    ]


def end_session(store: Store, user: User, session_id: int) -> None:
    """Ends one session of an account. Raises NotFound."""
    with store.write() as tx:
        if not session_store.end_session(tx, user.id, session_id):
            raise NotFound("This session has ended already")


def end_all_sessions(store: Store, user: User, *, now: datetime | None = None) -> None:
    """Ends every session of an account, and tells the audit log of each of its organizations."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        session_store.end_sessions(tx, user.id)
        for organization in org_store.list_organizations(tx, user.id):
            org_store.add_audit(
                tx,
                organization.id,
                at=at,
                actor=user.email,
                action="sessions.ended",
                subject=user.email,
                details={},
            )


def hash_of(token: str) -> bytes:
    """What is stored of a token, which is random enough to need no salt."""
    return hashlib.sha256(token.encode()).digest()


def _short(agent: str | None) -> str | None:
    # PostgreSQL cannot store a NUL character.
    return agent[:AGENT_LENGTH].replace("\0", "") if agent else None
