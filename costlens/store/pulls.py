"""One pull request with the runs that are counted for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select, true

from costlens.store import tables as t
from costlens.store.engine import Tx


def get_pull(tx: Tx, organization_id: int, pull_request_id: int) -> Row[Any] | None:
    """A pull request with its repository's name, and runs and cost counted for it. None: there is none."""
    pull, link = t.pull_requests.c, t.links.c
    counted = (
        select(func.count(func.distinct(link.run_id)).label("runs"), func.sum(link.cost_nanos).label("cost_nanos"))
        .where(link.organization_id == organization_id, link.pull_request_id == pull_request_id)
        .where(link.state == "counted", link.valid_to.is_(None))
        .subquery()
    )
    return tx.execute(
        select(t.pull_requests, t.repositories.c.name.label("repository"), counted.c.runs, counted.c.cost_nanos)
        .join(t.repositories, t.repositories.c.id == pull.repository_id)
        .join(counted, true())  # one row
        .where(pull.organization_id == organization_id, pull.id == pull_request_id)
    ).first()


def runs_of_pull(tx: Tx, organization_id: int, pull_request_id: int, limit: int) -> Sequence[Any]:
    """Runs counted for a pull request with its share of their cost, the newest first."""
    run, link = t.runs.c, t.links.c
    return tx.execute(
        select(
            run.id, run.request_id, run.occurred_at, run.provider, run.model, run.prompt_id, run.actor,
            run.cost_nanos, func.sum(link.cost_nanos).label("linked_nanos"),
        )
        .join(t.links, (link.run_id == run.id) & (link.organization_id == run.organization_id))
        .where(run.organization_id == organization_id, link.pull_request_id == pull_request_id)
        .where(link.state == "counted", link.valid_to.is_(None))
        .group_by(run.id)
        .order_by(run.id.desc())
        .limit(limit)
    ).all()  # fmt: skip
