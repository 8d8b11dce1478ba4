"""Keys of providers: stored encrypted, one for each provider of an organization."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from costlens.services.sealing import Box
from costlens.store import routing as routing_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import add_audit


def add_key(store: Store, box: Box, organization_id: int, provider: str, text: str, *, by: str, now: datetime) -> None:
    """Stores a key in place of the provider's one before; the audit log tells who did."""
    sealed = box.seal(text)

    def work(tx: Tx) -> None:
        values = {"provider": provider, "sealed": sealed, "last_four": text[-4:], "created_at": now}
        routing_store.put_provider_key(tx, organization_id, values)
        details = {"lastFour": text[-4:]}
        add_audit(
            tx, organization_id, at=now, actor=by, action="provider_key.stored", subject=provider, details=details
        )

    store.transact(work)


def list_keys(store: Store, organization_id: int) -> Sequence[Any]:
    """Providers that have a key, by name."""
    with store.read() as tx:
        return routing_store.provider_keys(tx, organization_id)
