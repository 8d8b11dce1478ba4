"""Runs that are changed after they were stored: found by page, with every sum moved by the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, false, func, or_, select, update

from costlens.store import links as link_store
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.rollups import Change


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
    changed: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)  # run, its new columns

    def __post_init__(self) -> None:
        self.change = Change(self.organization_id, self.timezone)

    def move(
        self,
        before: Mapping[str, Any],
        changed: Mapping[str, Any],
        links_before: Sequence[Mapping[str, Any]],
        links_after: Sequence[Mapping[str, Any]],
    ) -> None:
        """Takes what a locked run added to the sums for what it adds with its changed columns."""
        after = {**before, **changed}
        self.change.add_run(before, -1)
        self.change.add_ledger(before, links_before, -1)
        self.change.add_run(after)
        self.change.add_ledger(after, links_after)
        self.changed.append((before["id"], changed))

    def reprice(self, before: Mapping[str, Any], money: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> None:
        """Gives a locked run this money, and its counted links their shares of it."""
        changed, shared = dict(money), links
        if money["cost_nanos"] != before["cost_nanos"] and links:
            shared = link_store.share_anew(self.tx, self.organization_id, links, money["cost_nanos"] or 0)
            changed["counted_nanos"] = sum(link["cost_nanos"] for link in shared if link["state"] == "counted")
        self.move(before, changed, links, shared)

    def write(self) -> None:
        """Stores the changed columns, and adds the differences to the rollups."""
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for run_id, values in self.changed:
            row = {"organization": self.organization_id, "run": run_id}
            by_columns.setdefault(tuple(values), []).append(
                row | {f"new_{name}": value for name, value in values.items()}
            )
        run = t.runs.c
        for names, rows in by_columns.items():
            statement = update(t.runs).where(
                run.organization_id == bindparam("organization"), run.id == bindparam("run")
            )
            self.tx.execute(statement.values({name: bindparam(f"new_{name}") for name in names}), rows)
        self.change.write(self.tx)
