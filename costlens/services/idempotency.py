"""The first answer to an Idempotency-Key, kept for a day and given again.

The key is claimed before the work begins. A claim whose server was lost is taken over after a minute; runs that were
stored by then are found again by the identity that the key gave them, so nothing is counted twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.domain.errors import Conflict
from costlens.store import idempotency as answers
from costlens.store.engine import Store, Tx

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes


def begin(store: Store, organization_id: int, key: str, digest: bytes, now: datetime) -> Answer | None:
    """The first answer, or None: this is the first request, which `finish` or `release` ends.

    Raises Conflict when the key came with another request, or while the first one is under way.
    """

    def work(tx: Tx) -> Answer | None:
        answers.delete_expired(tx, organization_id, now)
        if answers.claim(tx, organization_id, key, digest, now, now + KEPT):
            return None
        found = answers.find(tx, organization_id, key)
        if found is None or (now - found.started_at < ABANDONED and found.status is None):
            raise Conflict(
                "The first request with this Idempotency-Key is under way", code="in_progress", field="Idempotency-Key"
            )
        if found.digest != digest:
            raise Conflict("This Idempotency-Key was sent before with another request", field="Idempotency-Key")
        if found.status is not None:
            return Answer(found.status, found.content_type, found.body)
        answers.take_over(tx, organization_id, key, now)
        return None

    return store.transact(work)


def finish(store: Store, organization_id: int, key: str, answer: Answer) -> None:
    """Keeps the answer of the first request."""
    with store.write() as tx:
        answers.keep(tx, organization_id, key, answer.status, answer.content_type, answer.body)


def release(store: Store, organization_id: int, key: str) -> None:
    """Forgets a claim whose request did nothing, so that it may be sent again."""
    with store.write() as tx:
        answers.release(tx, organization_id, key)
