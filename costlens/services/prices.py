"""Prices of an organization: its own and its aliases, from a moment on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.pricing import Override, find_card
from costlens.services.money import own_prices
from costlens.services.run_rows import OLDEST
from costlens.store import prices as price_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import add_audit, price_overrides


@dataclass(frozen=True, slots=True)
class OwnPrice:
    id: int
    override: Override
    created_at: datetime


def list_prices(store: Store, organization_id: int) -> list[OwnPrice]:
    """The organization's own prices by the date from which they hold."""
    with store.read() as tx:
        rows = price_overrides(tx, organization_id)
    return [
        OwnPrice(row.id, Override(row.provider, row.model, row.effective_from, row.alias_of, row.picos), row.created_at)
        for row in rows
    ]


def set_price(
    store: Store,
    organization_id: int,
    provider: str,
    model: str,
    *,
    effective_from: datetime | None,
    alias_of: str | None,
    picos: Mapping[str, int] | None,
    by: str,
    now: datetime | None = None,
) -> OwnPrice:
    """Stores a price, or an alias for another model's; from `effective_from` on, None: for all runs.

    Runs that are stored already keep their cost until they are repriced. Raises InvalidInput for an alias of a model
    without a price.
    """
    at = now or datetime.now(UTC)
    override = Override(provider, model, effective_from or OLDEST, alias_of, picos)

    def work(tx: Tx) -> int:
        if alias_of is not None:
            others = [one for one in own_prices(tx, organization_id) if (one.provider, one.model) != (provider, model)]
            if find_card(provider, model, max(at, override.effective_from), overrides=[*others, override]) is None:
                raise InvalidInput(f"aliasOf: no price is known for {alias_of}", field="aliasOf")
        values = {
            "provider": provider,
            "model": model,
            "effective_from": override.effective_from,
            "alias_of": alias_of,
            "picos": dict(picos) if picos is not None else None,
            "created_at": at,
        }
        found = price_store.put_price(tx, organization_id, values)
        details = {"effectiveFrom": override.effective_from.isoformat(), "aliasOf": alias_of, "picos": values["picos"]}
        subject = f"{provider}/{model}"
        add_audit(tx, organization_id, at=at, actor=by, action="price.set", subject=subject, details=details)
        return found

    return OwnPrice(store.transact(work), override, at)


def remove_price(store: Store, organization_id: int, price_id: int, *, by: str, now: datetime | None = None) -> None:
    """Removes one of the organization's own prices. Raises NotFound."""
    at = now or datetime.now(UTC)

    def work(tx: Tx) -> None:
        removed = price_store.delete_price(tx, organization_id, price_id)
        if removed is None:
            raise NotFound("No such price")
        provider, model, since = removed
        subject, details = f"{provider}/{model}", {"effectiveFrom": since.isoformat()}
        add_audit(tx, organization_id, at=at, actor=by, action="price.removed", subject=subject, details=details)

    store.transact(work)
