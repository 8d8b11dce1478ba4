"""What is assumed of the return on AI, by the day from which it holds; and what suggested links are expected to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Row, cast, delete, func, insert, select

from costlens.domain.links import LinkState
from costlens.domain.roi import Filters
from costlens.store import tables as t
from costlens.store.engine import Tx


def list_assumptions(tx: Tx, organization_id: int, team_id: int | None) -> Sequence[Row[Any]]:
    """Those of a team (None: of the organization), the oldest first."""
    a = t.roi_assumptions.c
    mine = a.team_id.is_(None) if team_id is None else a.team_id == team_id
    return tx.execute(
        select(t.roi_assumptions).where(a.organization_id == organization_id, mine).order_by(a.since)
    ).all()


def all_assumptions(tx: Tx, organization_id: int) -> list[tuple[int | None, date, dict[str, Any]]]:
    """(team, since, given) of the organization (team None) and of every team, the oldest first."""
    a = t.roi_assumptions.c
    query = select(a.team_id, a.since, a.given).where(a.organization_id == organization_id).order_by(a.since)
    return [(row.team_id, row.since, row.given) for row in tx.execute(query)]


def put_assumptions(
    tx: Tx, organization_id: int, team_id: int | None, since: date, given: dict[str, Any], by: str, at: datetime
) -> None:
    """Stores assumptions in place of those from the same day on."""
    remove_assumptions(tx, organization_id, team_id, since)
    row = {"organization_id": organization_id, "team_id": team_id, "since": since, "given": given}
    tx.execute(insert(t.roi_assumptions).values(row | {"set_by": by, "set_at": at}))


def remove_assumptions(tx: Tx, organization_id: int, team_id: int | None, since: date) -> bool:
    """Removes those that hold from a day on; answers whether there were any."""
    a = t.roi_assumptions.c
    mine = a.team_id.is_(None) if team_id is None else a.team_id == team_id
    gone = delete(t.roi_assumptions).where(a.organization_id == organization_id, mine, a.since == since)
    return tx.execute(gone).rowcount > 0


def expected_suggested(tx: Tx, organization_id: int, begin: datetime, end: datetime, filters: Filters) -> int:
    """Nano-dollars of suggested runs in [begin, end), each times the confidence of its best link, rounded down."""
    r, link = t.runs.c, t.links.c
    where = [
        r.organization_id == organization_id,
        r.occurred_at >= begin,
        r.occurred_at < end,
        r.link_state == LinkState.SUGGESTED,
        link.state == LinkState.SUGGESTED,
        link.valid_to.is_(None),
    ]
    for column, value in ((r.team_id, filters.team_id), (r.repository_id, filters.repository_id)):
        if value is not None:
            where.append(func.coalesce(column, 0) == value)
    if filters.provider is not None:
        where.append(r.provider == filters.provider)
    joined = t.runs.join(t.links, (link.run_id == r.id) & (link.organization_id == r.organization_id))
    best = select(r.cost_nanos, func.max(link.confidence).label("confidence")).select_from(joined).where(*where)
    each = best.group_by(r.id, r.cost_nanos).subquery()
    total = func.coalesce(func.sum(cast(each.c.cost_nanos * each.c.confidence, BigInteger)), 0)
    return int(tx.execute(select(total)).scalar_one()) // 1000
