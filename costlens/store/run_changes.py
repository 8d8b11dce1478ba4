"""Runs that are changed after they were stored: found by page, with every sum moved by the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, false, func, or_, select

from costlens.store import links as link_store
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.rollups import Change
from costlens.store.runs import change_run


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs; None: any."""

    since: datetime | None = None
    until: datetime | None = None  # exclusive
    provider: str | None = None
    model: str | None = None
    prompt_id: str | None = None
    environment: str | None = None  # development: also where none is named
    api_key_id: int | None = None
    code: bool | None = None

    def conditions(self, organization_id: int) -> list[Any]:
        run = t.runs.c
        pairs = (
            (run.provider, self.provider),
            (run.model, self.model),
            (run.prompt_id, self.prompt_id),
            (run.api_key_id, self.api_key_id),
            (run.code, self.code),
        )
        found: list[Any] = [run.organization_id == organization_id]
        found += [column == value for column, value in pairs if value is not None]
        if self.environment is not None:
            unnamed = run.environment.is_(None) if self.environment == "development" else false()
            found.append(or_(run.environment == self.environment, unnamed))
        if self.since is not None:
            found.append(run.occurred_at >= self.since)
        if self.until is not None:
            found.append(run.occurred_at < self.until)
        return found


def count_selected(tx: Tx, organization_id: int, where: Selection) -> int:
    """How many runs a selection has."""
    return int(tx.scalar(select(func.count()).select_from(t.runs).where(*where.conditions(organization_id))) or 0)


def page_of_selected(
    tx: Tx, organization_id: int, where: Selection, *, after: Mapping[str, Any] | None, limit: int
) -> list[dict[str, Any]]:
    """Whole rows of a selection by time, those behind `after`, the last run of the page before."""
    run = t.runs.c
    conditions = where.conditions(organization_id)
    if after is not None:
        at, last = after["occurred_at"], after["id"]
        # The first condition lets the index begin here.
        conditions += [run.occurred_at >= at, or_(run.occurred_at > at, and_(run.occurred_at == at, run.id > last))]
    query = select(t.runs).where(*conditions).order_by(run.occurred_at, run.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


@dataclass(slots=True)
class Moved:
    """What is to be written of changed runs; `write` adds the differences to the rollups."""

    tx: Tx
    organization_id: int
    timezone: str
    change: Change = field(init=False)

    def __post_init__(self) -> None:
        self.change = Change(self.organization_id, self.timezone)

    def move(
        self,
        before: Mapping[str, Any],
        changed: Mapping[str, Any],
        links_before: Sequence[Mapping[str, Any]],
        links_after: Sequence[Mapping[str, Any]],
    ) -> None:
        """Stores a locked run's changed columns and takes what it added to the sums for what it adds now."""
        after = {**before, **changed}
        self.change.add_run(before, -1)
        self.change.add_ledger(before, links_before, -1)
        self.change.add_run(after)
        self.change.add_ledger(after, links_after)
        change_run(self.tx, self.organization_id, before["id"], changed)

    def reprice(self, before: Mapping[str, Any], money: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> None:
        """Gives a locked run this money, and its counted links their shares of it."""
        changed, shared = dict(money), links
        if money["cost_nanos"] != before["cost_nanos"] and links:
            shared = link_store.share_anew(self.tx, self.organization_id, links, money["cost_nanos"] or 0)
            changed["counted_nanos"] = sum(link["cost_nanos"] for link in shared if link["state"] == "counted")
        self.move(before, changed, links, shared)

    def write(self) -> None:
        """Adds the differences to the rollups."""
        self.change.write(self.tx)
