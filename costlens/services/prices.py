"""Prices of an organization: its own and its aliases, from a moment on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        _check_alias(own_prices(tx, organization_id), override, at)
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


def try_price(store: Store, organization_id: int, override: Override, *, now: datetime | None = None) -> list[Override]:
    """The organization's own prices as they would be with this one. Raises InvalidInput as `set_price` does."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        stored = own_prices(tx, organization_id)
    _check_alias(stored, override, at)
    return [override, *(one for one in stored if _moment_of(one) != _moment_of(override))]


def try_without(store: Store, organization_id: int, price_id: int) -> tuple[OwnPrice, list[Override]]:
    """One of the organization's own prices, and the others as they would be without it. Raises NotFound."""
    stored = list_prices(store, organization_id)
    found = next((one for one in stored if one.id == price_id), None)
    if found is None:
        raise NotFound("No such price")
    return found, [one.override for one in stored if one is not found]


def _moment_of(one: Override) -> tuple[str, str, datetime]:
    return one.provider, one.model, one.effective_from


def _check_alias(stored: Iterable[Override], override: Override, at: datetime) -> None:
    if override.alias_of is None:
        return
    others = [one for one in stored if (one.provider, one.model) != (override.provider, override.model)]
    moment = max(at, override.effective_from)
    if find_card(override.provider, override.model, moment, overrides=[*others, override]) is None:
        raise InvalidInput(f"aliasOf: no price is known for {override.alias_of}", field="aliasOf")


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
