"""How often something that can be guessed may be tried: counted in the database, so it holds across processes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from costlens.domain.errors import RateLimited
from costlens.store import sessions as session_store
from costlens.store.engine import Store
from costlens.store.types import EPOCH

SPAN = timedelta(minutes=15)


def subject(kind: str, *parts: str | None) -> str:
    """What an attempt is counted under; addresses of people are not kept in the clear."""
    text = "\0".join(part or "" for part in parts)
    return f"{kind}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def count(store: Store, limits: Mapping[str, int], now: datetime) -> None:
    """Counts one attempt of each subject, before it is made. Raises RateLimited where one is past its limit."""
    span = (now - EPOCH) // SPAN
    with store.write() as tx:
        session_store.remove_old_attempts(tx, span)
        over = [name for name, most in limits.items() if session_store.count_attempt(tx, name, span) > most]
    if over:
        left = EPOCH + (span + 1) * SPAN - now
        wait = int(left.total_seconds()) + 1
        raise RateLimited(f"Too many attempts; try again in {(wait + 59) // 60} minutes", retry_after=wait)


def forget(store: Store, *subjects: str) -> None:
    """Forgets the attempts of subjects that have shown who they are."""
    with store.write() as tx:
        for name in subjects:
            session_store.forget_attempts(tx, name)
