"""What a walk does when GitHub says no: who waits, how long, and what the screen says. What holds for everybody of an
installation, or of a host, holds for comments too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from costlens.domain.errors import Conflict
from costlens.domain.sync import (
    MAX_RETRY,
    RECONCILE_LOST,
    BadCredentials,
    Budget,
    GitHubTrouble,
    Moved,
    NoAccess,
    Paused,
    Unreachable,
    breaker_wait,
    pause_of,
    retry_after,
)
from costlens.services.github_access import OF_TOKEN, GitHub, forget_token
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx


def closed_until(store: Store, github: GitHub, row: Any, now: datetime) -> datetime | None:
    """Until when this walk must not ask GitHub, because of others who did; it is due then. None: it may.

    The first that comes after a host was left alone tries it; the others wait for what it finds.
    """
    with store.write() as tx:
        held = held_until(tx, github, row.organization_id, row.installation_id, now)
        return None if held is None else _due(tx, row, held.until, {"state": held.state, "error": held.reason})


@dataclass(frozen=True, slots=True)
class Held:
    """Nobody of an installation may ask GitHub."""

    until: datetime
    state: str  # paused, failing
    reason: str


def held_until(tx: Tx, github: GitHub, organization_id: int, installation_id: int, now: datetime) -> Held | None:
    """What keeps an installation from asking GitHub. None: nothing; the caller tries, the others wait for it."""
    host = _host(github)
    installation = sync_store.get_installation(tx, organization_id, installation_id)
    if installation and installation.paused_until and installation.paused_until > now:
        return Held(installation.paused_until, "paused", installation.pause_reason)
    known = sync_store.get_host(tx, host)
    if known is None or known.open_until is None:
        return None
    if known.open_until > now:
        return Held(known.open_until, "failing", f"{host} did not answer lately")
    sync_store.set_host(tx, host, known.failures, now + (breaker_wait(known.failures) or timedelta(0)))
    return None


def clear(store: Store, github: GitHub, row: Any, budget: Budget | None) -> None:
    """Notes an answer of GitHub: nothing holds any more, and so many calls are left."""
    host = _host(github)
    with store.write() as tx:
        installation = sync_store.get_installation(tx, row.organization_id, row.installation_id)
        values: dict[str, Any] = {}
        if installation and (installation.pauses or installation.paused_until):
            values |= {"paused_until": None, "pause_reason": None, "pauses": 0}
        if budget is not None:
            values |= {
                "budget": budget.remaining,
                "budget_limit": budget.limit,
                "budget_resets_at": budget.resets_at,
            }
        if values:
            sync_store.change_installation(tx, row.organization_id, row.installation_id, values)
        known = sync_store.get_host(tx, host)
        if known is not None and known.failures:
            sync_store.set_host(tx, host, 0, None)


def note(store: Store, github: GitHub, row: Any, trouble: GitHubTrouble, now: datetime) -> timedelta:
    """Stores what went wrong and answers how long the walk waits."""
    failures = row.failures + 1
    values: dict[str, Any] = {"error": str(trouble), "failures": failures}
    with store.write() as tx:
        if isinstance(trouble, Paused):
            wait = pause(tx, row.organization_id, row.installation_id, trouble, now)
            values |= {"state": "paused", "failures": row.failures}
        elif isinstance(trouble, Moved) or (isinstance(trouble, NoAccess) and row.phase != "idle"):
            # Lists are asked for by name: whether it has another one now, the question by its id tells.
            wait = timedelta(0) if failures == 1 else retry_after(failures)
            values |= {"state": "waiting" if failures == 1 else "failing", "phase": "idle", "cursor": None}
            values |= {"repository_etag": None, "pulls_etag": None}
        elif isinstance(trouble, NoAccess):
            wait = RECONCILE_LOST
            values |= {"state": "lost", "repository_etag": None, "pulls_etag": None}
            connections.change_connection(tx, row.organization_id, {"list_due": True})
        elif isinstance(trouble, BadCredentials):
            # A minted token may have been revoked: the first time, another one is tried at once.
            minted = row.installation_id != OF_TOKEN and failures == 1
            wait = retry_after(1) if minted else MAX_RETRY
            values["state"] = "refused"
            if not minted:
                connections.change_connection(tx, row.organization_id, {"error": str(trouble)})
        elif isinstance(trouble, Unreachable):
            wait = retry_after(failures)
            values["state"] = "failing"
            count_failure(tx, github, now)
        else:
            wait = MAX_RETRY
            values["state"] = "failing"
        sync_store.move_on(tx, row.organization_id, row.id, row.version, values | {"due_at": now + wait})
    if isinstance(trouble, BadCredentials):
        forget_token(store, row.organization_id, row.installation_id)
    return wait


def note_conflict(store: Store, row: Any, error: Conflict, now: datetime) -> None:
    """Stores that GitHub gave the name of a repository to another one."""
    values = {"state": "failing", "error": error.message, "failures": row.failures + 1, "due_at": now + MAX_RETRY}
    with store.write() as tx:
        latest = sync_store.get_source(tx, row.organization_id, row.id)
        if latest is not None:
            sync_store.move_on(tx, row.organization_id, row.id, latest.version, values)


def pause(tx: Tx, organization_id: int, installation_id: int, trouble: Paused, now: datetime) -> timedelta:
    """Everybody who uses the installation waits; answers how long."""
    installation = sync_store.get_installation(tx, organization_id, installation_id)
    pauses = (installation.pauses if installation else 0) + 1
    wait = pause_of(trouble, pauses)
    values = {"paused_until": now + wait, "pause_reason": str(trouble), "pauses": pauses}
    sync_store.change_installation(tx, organization_id, installation_id, values)
    return wait


def count_failure(tx: Tx, github: GitHub, now: datetime) -> None:
    """The host did not answer; after too often in a row everybody leaves it alone."""
    host = _host(github)
    known = sync_store.get_host(tx, host)
    in_a_row = (known.failures if known else 0) + 1
    closed = breaker_wait(in_a_row)
    sync_store.set_host(tx, host, in_a_row, now + closed if closed else None)


def _due(tx: Tx, row: Any, until: datetime, values: dict[str, Any]) -> datetime:
    sync_store.move_on(tx, row.organization_id, row.id, row.version, values | {"due_at": until})
    return until


def _host(github: GitHub) -> str:
    return urlsplit(github.api_url).netloc
