"""Runs priced anew by the prices of now: a dry run that tells what would change, and the same applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from costlens.domain.errors import NotFound
from costlens.domain.pricing import Override
from costlens.domain.shown import instant
from costlens.services.money import money_of, own_prices
from costlens.services.selected_runs import selected
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import add_audit, get_organization
from costlens.store.run_changes import Moved, Selection, count_selected
from costlens.store.runs import get_runs

Row = Mapping[str, Any]

# A run whose price version alone is another keeps the one that it was priced by.
_MONEY = ("cost_nanos", "list_cost_nanos", "baseline_cost_nanos", "cost_status")


@dataclass(slots=True)
class Difference:
    """Sums over the runs whose money changes."""

    runs: int = 0
    old_nanos: int = 0
    new_nanos: int = 0
    unpriced_before: int = 0
    unpriced_after: int = 0

    def add(self, before: Row, after: Row) -> None:
        self.runs += 1
        self.old_nanos += before["cost_nanos"] or 0
        self.new_nanos += after["cost_nanos"] or 0
        self.unpriced_before += before["cost_nanos"] is None
        self.unpriced_after += after["cost_nanos"] is None


@dataclass(slots=True)
class Repriced:
    """What a repricing changes, or changed."""

    runs: int = 0  # looked at
    total: Difference = field(default_factory=Difference)
    models: dict[tuple[str, str], Difference] = field(default_factory=dict)  # by provider and model

    def add(self, before: Row, after: Row) -> None:
        self.total.add(before, after)
        self.models.setdefault((before["provider"], before["model"]), Difference()).add(before, after)


def reprice(
    store: Store,
    organization_id: int,
    where: Selection,
    *,
    apply: bool = False,
    prices: Sequence[Override] | None = None,
    by: str = "console",
    now: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Repriced:
    """Prices the selected runs anew; with `apply`, stores it and moves every sum by the difference.

    A run whose money stays the same is left as it is, with its price version, so a second time changes nothing; one
    that was ended in the middle is completed by the next. The audit log tells when it began and what it changed.
    `progress` is told (runs done, runs in all). `prices` are own prices to try instead of the stored ones; only a dry
    run can. Raises ValueError otherwise.
    """
    if apply and prices is not None:
        raise ValueError("prices can only be tried")
    at = now or datetime.now(UTC)
    with store.read() as tx:
        expected = count_selected(tx, organization_id, where)
    found = Repriced()
    for page in selected(store, organization_id, where):
        found.runs += len(page)
        overrides = prices
        if overrides is None:
            with store.read() as tx:
                overrides = own_prices(tx, organization_id)
        differing = _differing(page, overrides)
        if differing and apply:
            if not found.total.runs:
                with store.write() as tx:
                    _audit(tx, organization_id, at, by, "runs.repricing", where, {})
            ids = [before["id"] for before, _ in differing]
            differing = store.transact(lambda tx: _apply(tx, organization_id, ids))  # noqa: B023
        for before, after in differing:
            found.add(before, after)
        if progress:
            progress(found.runs, max(expected, found.runs))
    if apply and found.total.runs:
        with store.write() as tx:
            _audit(tx, organization_id, at, by, "runs.repriced", where, asdict(found.total))
    return found


def _differing(rows: Sequence[Row], overrides: Sequence[Override]) -> list[tuple[Row, dict[str, Any]]]:
    found = []
    for row in rows:
        money = money_of(row, overrides)
        if any(row[name] != money[name] for name in _MONEY):
            found.append((row, money))
    return found


def _apply(tx: Tx, organization_id: int, ids: Sequence[int]) -> list[tuple[Row, dict[str, Any]]]:
    """Stores the new money of these runs, as they are under the lock."""
    organization = get_organization(tx, organization_id)
    if organization is None:
        raise NotFound("The organization is gone")
    rows = list(get_runs(tx, organization_id, ids, lock=True).values())
    links = link_store.current_links(tx, organization_id, ids)
    moved = Moved(tx, organization_id, organization.timezone)
    done = _differing(rows, own_prices(tx, organization_id))
    for before, money in done:
        moved.reprice(before, money, links.get(before["id"], ()))
    moved.write()
    return done


def _audit(
    tx: Tx, organization_id: int, at: datetime, by: str, action: str, where: Selection, figures: Mapping[str, Any]
) -> None:
    asked = {"provider": where.provider, "model": where.model, "since": instant(where.since)}
    details = {name: value for name, value in asked.items() if value is not None} | dict(figures)
    add_audit(tx, organization_id, at=at, actor=by, action=action, subject="runs", details=details)
