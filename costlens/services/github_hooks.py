"""Webhooks are hints: they say which repository to read again, and nothing that they claim is stored.

So their order, doubles and losses do not matter, and a stolen secret could only make us look.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.errors import NotFound, Unauthorized
from costlens.domain.sync import GitHubTrouble
from costlens.github.app import deliveries, redeliver
from costlens.github.webhooks import Event, is_signed, read_event
from costlens.services.github_access import GitHub, app_of
from costlens.services.sealing import Box
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx

A_JOB = 1_000  # deliveries
KEPT = timedelta(days=30)
REDELIVER_SINCE = timedelta(days=2, hours=22)  # GitHub keeps deliveries for three days
REDELIVERIES = 100  # an hour
# Of events without any of these the repository may have become another one, or the list of them.
LISTING = {
    "github_app_authorization",  # somebody took it back: the list shows whether the credentials still hold
    "installation",
    "installation_repositories",
    "installation_target",
    "public",
    "repository",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Processed:
    deliveries: int = 0
    sources: Sequence[int] = ()  # walks that are due now
    list_due: bool = False


def receive(
    store: Store,
    box: Box,
    hook_id: str,
    body: bytes,
    *,
    signature: str | None,
    content_type: str,
    event: str,
    guid: str,
    now: datetime | None = None,
) -> tuple[int, bool]:
    """Notes a delivery; answers whose it is, and whether there is something to do.

    Raises NotFound for an address of nobody, Unauthorized for a wrong signature, InvalidInput for what cannot be read.
    """
    at = now or datetime.now(UTC)
    with store.read() as tx:
        row = connections.find_hook(tx, hook_id)
    if row is None:
        raise NotFound("No such webhook")
    if not is_signed(body, signature, _secrets(box, row, at)):
        raise Unauthorized("The signature does not match", code="bad_signature")
    found = read_event(body, content_type, event, guid)
    with store.write() as tx:
        return row.organization_id, _keep(tx, row, found, at)


def _secrets(box: Box, row: Any, now: datetime) -> list[str]:
    """The webhook's secret, and for a while the one before it."""
    found = [box.open(row.webhook_secret)]
    if row.old_webhook_secret is not None and row.old_secret_until > now:
        found.append(box.open(row.old_webhook_secret))
    return found


def _keep(tx: Tx, row: Any, found: Event, now: datetime) -> bool:
    if found.event == "ping":
        connections.change_connection(tx, row.organization_id, {"pinged_at": now})
        return False
    values = {
        "organization_id": row.organization_id,
        "guid": found.guid,
        "event": found.event,
        "action": found.action,
        "github_id": found.github_id,
        "received_at": now,
    }
    new = connections.add_delivery(tx, values)
    if new:
        connections.change_connection(tx, row.organization_id, {"delivered_at": now})
    return new


def waiting(store: Store) -> list[int]:
    """Organizations with deliveries that were not processed yet."""
    with store.read() as tx:
        return connections.organizations_with_deliveries(tx)


def process(store: Store, organization_id: int, *, now: datetime | None = None) -> Processed:
    """Makes due what the waiting deliveries hint at, whatever they say of it."""
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> Processed:
        rows = connections.waiting_deliveries(tx, organization_id, A_JOB)
        if not rows:
            return Processed()
        sources = sync_store.hint(tx, organization_id, {row.github_id for row in rows if row.github_id}, at)
        listing = any(row.event in LISTING for row in rows)
        if listing:
            connections.change_connection(tx, organization_id, {"list_due": True})
        connections.mark_processed(tx, organization_id, [row.id for row in rows], at)
        return Processed(len(rows), sources, listing)

    return store.transact(work)


def redeliver_failures(store: Store, github: GitHub, *, now: datetime | None = None) -> int:
    """Asks GitHub to send again what did not come through; answers how many events."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        organizations = connections.connected(tx)
    done = 0
    for organization_id in organizations:
        try:
            done += _redeliver(store, github, organization_id, at)
        except GitHubTrouble as trouble:  # the walks read everything all the same
            _log.warning("failed webhook deliveries cannot be asked for: %s", trouble)
    return done


def _redeliver(store: Store, github: GitHub, organization_id: int, now: datetime) -> int:
    with app_of(store, github, organization_id) as client:
        if client is None:  # a repository's own webhook: a token may not see its deliveries
            return 0
        last: dict[str, tuple[int, bool]] = {}  # guid → an attempt, and whether one of them came through
        for delivery in deliveries(client, now - REDELIVER_SINCE):
            number, ok = last.get(delivery.guid, (delivery.delivery_id, False))
            last[delivery.guid] = number, ok or delivery.ok
        failed = {guid: number for guid, (number, ok) in last.items() if not ok}
        with store.read() as tx:
            known = connections.processed_guids(tx, organization_id, failed)
        wanted = [number for guid, number in failed.items() if guid not in known][:REDELIVERIES]
        for number in wanted:
            redeliver(client, number)
    with store.write() as tx:
        connections.change_connection(tx, organization_id, {"redelivered_at": now})
    return len(wanted)


def forget_old(store: Store, *, now: datetime | None = None) -> None:
    """Removes deliveries that are long done."""
    with store.write() as tx:
        connections.forget_deliveries(tx, (now or datetime.now(UTC)) - KEPT)
