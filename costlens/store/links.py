"""Links and manual decisions; superseded links stay, with the time they ended and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update

from costlens.domain.linking import split
from costlens.domain.links import ManualDecision
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.plans import checked
from costlens.store.types import one_of
from costlens.store.upsert import put

LinkRow = Mapping[str, Any]


def current_links(tx: Tx, organization_id: int, run_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The links that hold now, by run, in the order they were made."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = tx.execute(
        select(t.links)
        .where(
            t.links.c.organization_id == organization_id,
            one_of(t.links.c.run_id, run_ids),
            t.links.c.valid_to.is_(None),
        )
        .order_by(t.links.c.id)
    )
    for row in rows:
        found.setdefault(row.run_id, []).append(dict(row._mapping))
    return found


def share_anew(tx: Tx, organization_id: int, links: Sequence[LinkRow], cost_nanos: int) -> list[dict[str, Any]]:
    """Gives the counted links equal shares of a run's new cost; answers all links with their new shares."""
    counted = [link for link in links if link["state"] == "counted"]
    shares = (
        dict(zip((link["id"] for link in counted), split(cost_nanos, len(counted)), strict=True)) if counted else {}
    )
    for link_id, share in shares.items():
        tx.execute(
            update(t.links)
            .where(t.links.c.organization_id == organization_id, t.links.c.id == link_id)
            .values(cost_nanos=share)
        )
    return [{**link, "cost_nanos": shares.get(link["id"], link["cost_nanos"])} for link in links]


def close_links(tx: Tx, organization_id: int, link_ids: Sequence[int], now: datetime, reason: str) -> None:
    """Ends links that no longer hold, with the reason; they stay as history."""
    if link_ids:
        tx.execute(
            update(t.links)
            .where(checked(t.links.c.organization_id, organization_id), one_of(t.links.c.id, link_ids))
            .values(valid_to=now, closed_reason=reason)
        )


def add_links(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts new links, which hold from their `valid_from`."""
    if rows:
        tx.execute(insert(t.links), list(rows))


def set_link_state(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Writes link_state, unlinked_reason, counted_nanos and linked_at of runs, given with their id as `run_id`."""
    if not rows:
        return
    run = t.runs.c
    statement = (
        update(t.runs)
        .where(run.organization_id == bindparam("organization"), run.id == bindparam("run_id"))
        .values(
            {name: bindparam(f"new_{name}") for name in ("link_state", "unlinked_reason", "counted_nanos", "linked_at")}
        )
    )
    tx.execute(statement, list(rows))


def mark_linked(tx: Tx, organization_id: int, run_ids: Sequence[int], now: datetime) -> None:
    """Says that the linker has seen these runs and changed nothing."""
    run = t.runs.c
    if run_ids:
        tx.execute(
            update(t.runs)
            .where(checked(run.organization_id, organization_id), one_of(run.id, run_ids), run.linked_at.is_(None))
            .values(linked_at=now)
        )


def mark_unseen(tx: Tx, organization_id: int, run_id: int) -> None:
    """Puts a run before the linker again."""
    tx.execute(
        update(t.runs).where(t.runs.c.organization_id == organization_id, t.runs.c.id == run_id).values(linked_at=None)
    )


def decide(tx: Tx, organization_id: int, decision: ManualDecision, now: datetime) -> None:
    """Keeps a person's word on a (run, pull request), in place of an earlier one."""
    put(
        tx,
        t.link_decisions,
        [
            {
                "organization_id": organization_id,
                "run_id": decision.run_id,
                "pull_request_id": decision.pull_request_id,
                "confirmed": decision.confirmed,
                "decided_by": decision.by,
                "decided_at": now,
            }
        ],
    )


def forget_decisions(tx: Tx, organization_id: int, run_id: int) -> list[int]:
    """Takes back all that people decided of a run; answers of which pull requests."""
    column = t.link_decisions.c
    taken = tx.scalars(
        delete(t.link_decisions)
        .where(column.organization_id == organization_id, column.run_id == run_id)
        .returning(column.pull_request_id)
    )
    return sorted(taken)


def told_decisions(tx: Tx, organization_id: int, run_id: int) -> Sequence[Any]:
    """What people decided of a run, with the number of the pull request, who decided and when; oldest first."""
    column, pull = t.link_decisions.c, t.pull_requests.c
    return tx.execute(
        select(column.confirmed, column.decided_by, column.decided_at, pull.number, t.repositories.c.name)
        .join(t.pull_requests, pull.id == column.pull_request_id)
        .join(t.repositories, t.repositories.c.id == pull.repository_id)
        .where(column.organization_id == organization_id, column.run_id == run_id)
        .order_by(column.decided_at, pull.number)
    ).all()


def decisions(tx: Tx, organization_id: int, run_ids: Sequence[int]) -> list[ManualDecision]:
    """What people decided of these runs."""
    column = t.link_decisions.c
    rows = tx.execute(
        select(t.link_decisions)
        .where(column.organization_id == organization_id, one_of(column.run_id, run_ids))
        .order_by(column.run_id, column.pull_request_id)
    )
    return [ManualDecision(row.run_id, row.pull_request_id, row.confirmed, row.decided_by) for row in rows]


def list_links(
    tx: Tx,
    organization_id: int,
    *,
    limit: int,
    after: tuple[int, int] | None = None,
    state: str | None = None,
    repository_id: int | None = None,
    pull_request_id: int | None = None,
    run_id: int | None = None,
) -> Sequence[Row[Any]]:
    """The links that hold now, those of the newest run first and each run's in the order they were made, with what
    their run and pull request are called; `after` is the (run_id, id) of the last row of a page.
    """
    link = t.links.c
    conditions = [link.organization_id == organization_id, link.valid_to.is_(None)]
    if after is not None:
        run, last = after
        # Said of both tables: PostgreSQL may join them by merging, and would walk over all runs before the page.
        conditions += [link.run_id <= run, t.runs.c.id <= run, or_(link.run_id < run, link.id > last)]
    for column, value in (
        (link.state, state),
        (link.repository_id, repository_id),
        (link.pull_request_id, pull_request_id),
        (link.run_id, run_id),
    ):
        if value is not None:
            conditions.append(column == value)
    return tx.execute(
        select(
            t.links,
            t.runs.c.request_id,
            t.runs.c.correlation_id,
            t.runs.c.cost_nanos.label("run_cost_nanos"),
            t.repositories.c.name.label("repository"),
            t.pull_requests.c.number,
            t.pull_requests.c.title,
            t.pull_requests.c.outcome,
        )
        .join(t.runs, t.runs.c.id == link.run_id)
        .join(t.repositories, t.repositories.c.id == link.repository_id)
        .outerjoin(t.pull_requests, t.pull_requests.c.id == link.pull_request_id)
        .where(*conditions)
        .order_by(link.run_id.desc(), link.id)
        .limit(limit)
    ).all()
