"""Sessions of signed-in accounts, links that sign in, and how often something was tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.organizations import User
from costlens.store.upsert import add_to


@dataclass(frozen=True, slots=True)
class Session:
    """A session that holds, with its account."""

    id: int
    user: User
    seen_at: datetime


def add_session(tx: Tx, values: dict[str, Any]) -> None:
    """Inserts a session, of which only the hash of its token is known."""
    tx.execute(insert(t.sessions).values(values))


def find_session(tx: Tx, token_hash: bytes, now: datetime) -> Session | None:
    """The session of this token. None: unknown, over, or ended with all others of its account."""
    session, user = t.sessions.c, t.users.c
    row = tx.execute(
        select(session.id.label("session_id"), session.seen_at, t.users)
        .join(t.users, user.id == session.user_id)
        .where(
            session.token_hash == token_hash,
            session.expires_at > now,
            session.session_version == user.session_version,
        )
    ).first()
    if row is None:
        return None
    return Session(row.session_id, User(row.id, row.email, row.name, row.session_version), row.seen_at)


def touch_session(tx: Tx, session_id: int, values: dict[str, Any]) -> None:
    """Notes when and from where a session was last used."""
    tx.execute(update(t.sessions).where(t.sessions.c.id == session_id).values(values))


def list_sessions(tx: Tx, user: User, now: datetime) -> Sequence[Row[Any]]:
    """The sessions of an account that hold, last used first."""
    session = t.sessions.c
    return tx.execute(
        select(t.sessions)
        .where(session.user_id == user.id, session.expires_at > now, session.session_version == user.session_version)
        .order_by(session.seen_at.desc(), session.id.desc())
    ).all()


def end_session(tx: Tx, user_id: int, session_id: int) -> int:
    """Removes one session of an account; answers how many there were."""
    session = t.sessions.c
    return tx.execute(delete(t.sessions).where(session.user_id == user_id, session.id == session_id)).rowcount


def end_sessions(tx: Tx, user_id: int) -> None:
    """Ends every session of an account, also those whose cookie somebody has copied."""
    tx.execute(update(t.users).where(t.users.c.id == user_id).values(session_version=t.users.c.session_version + 1))
    tx.execute(delete(t.sessions).where(t.sessions.c.user_id == user_id))


def remove_ended(tx: Tx, now: datetime) -> None:
    """Removes sessions that are over."""
    tx.execute(delete(t.sessions).where(t.sessions.c.expires_at <= now))


def add_link(tx: Tx, token_hash: bytes, user_id: int, expires_at: datetime, purpose: str) -> None:
    """Inserts a link that works once, known by the hash of its token; `purpose` is sign_in or reset."""
    tx.execute(
        insert(t.sign_in_links).values(token_hash=token_hash, user_id=user_id, expires_at=expires_at, purpose=purpose)
    )


def link_holder(tx: Tx, token_hash: bytes, purpose: str, now: datetime) -> int | None:
    """The user of a link that was not used yet. None: unknown, used, expired, or for something else."""
    link = t.sign_in_links.c
    return tx.scalar(
        select(link.user_id).where(
            link.token_hash == token_hash, link.purpose == purpose, link.used_at.is_(None), link.expires_at > now
        )
    )


def use_link(tx: Tx, token_hash: bytes, purpose: str, now: datetime) -> int | None:
    """The user of a link, once. None: unknown, used, expired, or for something else."""
    link = t.sign_in_links.c
    used = tx.execute(
        update(t.sign_in_links)
        .where(link.token_hash == token_hash, link.purpose == purpose, link.used_at.is_(None), link.expires_at > now)
        .values(used_at=now)
    ).rowcount
    return tx.scalar(select(link.user_id).where(link.token_hash == token_hash)) if used else None


def drop_links(tx: Tx, user_id: int) -> None:
    """Makes every link of an account worthless, as a new password does."""
    tx.execute(delete(t.sign_in_links).where(t.sign_in_links.c.user_id == user_id))


def count_attempt(tx: Tx, subject: str, span: int) -> int:
    """Notes one more attempt of a subject in a span of time; answers how many there are now."""
    add_to(tx, t.attempts, ("subject", "span", "count"), [(subject, span, 1)], ("count",))
    attempt = t.attempts.c
    found = tx.scalar(select(attempt.count).where(attempt.subject == subject, attempt.span == span))
    return int(found or 0)


def forget_attempts(tx: Tx, subject: str) -> None:
    """Forgets the attempts of a subject: it has shown who it is."""
    tx.execute(delete(t.attempts).where(t.attempts.c.subject == subject))


def remove_old_attempts(tx: Tx, before: int) -> None:
    """Removes what was counted in spans before this one."""
    tx.execute(delete(t.attempts).where(t.attempts.c.span < before))
