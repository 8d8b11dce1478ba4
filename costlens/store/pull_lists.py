"""Lists of pull requests: which belong to a window, what they cost over their whole life, in any order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, false, func, literal, or_, select, type_coerce, union

from costlens.domain.links import LinkState, Outcome
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, PullRequestRow, Window
from costlens.store.ai_signs import declared, linked, manual
from costlens.store.engine import Tx
from costlens.store.pulls import login_of
from costlens.store.roi_spend import narrow, summed
from costlens.store.tables import pull_requests, repositories, rollup_links, rollup_pulls

PULL_SORTS = ("ended", "cost", "runs", "cycle")
_UNKNOWN = 2**62  # past every value that is known


def pull_request_rows(
    tx: Tx,
    organization_id: int,
    window: Window,
    filters: Filters,
    *,
    outcome: str | None = None,
    ai: str | None = None,
    sort: str = "ended",
    ascending: bool = False,
    after: tuple[int, int] | None = None,
    limit: int = 100,
) -> list[tuple[int, PullRequestRow]]:
    """Pull requests with counted links that were merged or closed in the window, or had spend in it, each with the
    value that it is sorted by: milliseconds of its merge, else creation (ended), nano-dollars, runs, or milliseconds
    from first commit to merge (cycle; unknown ones last).

    `outcome` narrows them to the rows behind one figure: merged (in the window, reverted ones included), reverted,
    abandoned (closed unmerged in the window), closed (merged or abandoned) or open; `ai` to one state of
    domain/pulls.AiState, of which `declared` and `none_seen` have no counted links. The greatest value first, unless
    `ascending`; `after` is the (value, id) of the last row already shown.
    """
    every = _pull_requests(organization_id, window, filters, outcome, ai).subquery("every").c
    cycle = _number(every.merged_at) - _number(every.first_commit_at)
    value = {
        "ended": func.coalesce(_number(every.merged_at), _number(every.created_at)),
        "cost": every.cost,
        "runs": every.runs,
        "cycle": func.coalesce(cycle, literal(_UNKNOWN if ascending else -_UNKNOWN, BigInteger)),
    }[sort]
    query = select(value.label("value"), *every)
    if ascending:
        query = query.order_by(value, every.id)
    else:
        query = query.order_by(value.desc(), every.id.desc())
    if after is not None:
        at, id = after
        beyond = (value > at, every.id > id) if ascending else (value < at, every.id < id)
        query = query.where(or_(beyond[0], and_(value == at, beyond[1])))
    return [(int(row[0]), PullRequestRow(*row[1:])) for row in tx.execute(query.limit(limit)).all()]


def pull_request_totals(
    tx: Tx,
    organization_id: int,
    window: Window,
    filters: Filters,
    *,
    outcome: str | None = None,
    ai: str | None = None,
) -> tuple[int, int, int]:
    """(count, runs, whole-life counted cost) of the pull requests that `pull_request_rows` pages through."""
    every = _pull_requests(organization_id, window, filters, outcome, ai).subquery("every")
    count, runs, cost = tx.execute(select(func.count(), summed(every.c.runs), summed(every.c.cost))).one()
    return int(count), int(runs), int(cost)


def _pull_requests(
    organization_id: int, window: Window, filters: Filters, outcome: str | None, ai: str | None
) -> Select[Any]:
    begin, end = bounds(window)
    r, u, p = rollup_links.c, rollup_pulls.c, pull_requests.c
    spent = select(r.pull_request_id).where(
        r.organization_id == organization_id,
        r.day.between(window.start, window.end),
        r.state == LinkState.COUNTED,
        *narrow(rollup_links, filters),
    )
    without = ai in ("declared", "none_seen")  # those without counted links too
    of_it = _of_pull_request(filters) if without else []
    chosen = union(*_closed_between(organization_id, begin, end), spent).subquery("chosen")
    runs, cost = summed(u.runs).label("runs"), summed(u.cost_nanos).label("cost")
    author = login_of(p.person_id, organization_id).label("author")
    sums = and_(u.organization_id == p.organization_id, u.pull_request_id == p.id, *narrow(rollup_pulls, filters))
    return (
        select(
            p.id,
            p.number,
            p.repository_id,
            repositories.c.name,
            p.title,
            p.outcome,
            runs,
            cost,
            p.created_at,
            p.merged_at,
            p.closed_at,
            p.first_commit_at,
            author,
        )
        .select_from(
            chosen.join(pull_requests, p.id == chosen.c.id)
            .join(repositories, repositories.c.id == p.repository_id)
            .join(rollup_pulls, sums, isouter=without)
        )
        .where(p.organization_id == organization_id, *of_it, *_of_outcome(outcome, begin, end))
        .group_by(p.id, repositories.c.name)
        .having(_of_ai(organization_id, ai))
    )


def _of_ai(organization_id: int, ai: str | None) -> ColumnElement[bool]:
    """Which of the pull requests, after their counted links are summed. None: those that have any."""
    u = rollup_pulls.c
    if ai not in ("declared", "none_seen"):
        # Of the filters; rows of links that were taken back hold zeros.
        here = or_(func.coalesce(func.sum(u.runs), 0) > 0, func.coalesce(func.sum(u.cost_nanos), 0) > 0)
        return here if ai is None else and_(here, ~manual())
    anywhere = linked(organization_id)
    if ai == "declared":
        return and_(~anywhere, declared(), ~manual())
    return or_(manual(), and_(~anywhere, ~declared()))


def _of_pull_request(filters: Filters) -> list[ColumnElement[bool]]:
    """The filters on what has no runs: a team's are those of its repositories, and no provider has any."""
    found: list[ColumnElement[bool]] = []
    if filters.repository_id is not None:
        found.append(pull_requests.c.repository_id == filters.repository_id)
    if filters.team_id is not None:
        found.append(func.coalesce(repositories.c.team_id, 0) == filters.team_id)
    if filters.provider is not None:
        found.append(false())
    return found


def _number(instant: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(instant, BigInteger)


def _of_outcome(outcome: str | None, begin: datetime, end: datetime) -> list[ColumnElement[bool]]:
    p = pull_requests.c
    if outcome is None:
        return []
    if outcome == Outcome.OPEN:
        return [p.closed_at.is_(None), p.merged_at.is_(None)]
    abandoned = [p.merged_at.is_(None), p.closed_at >= begin, p.closed_at < end]
    merged = [p.merged_at >= begin, p.merged_at < end]
    if outcome == Outcome.ABANDONED:
        return abandoned
    if outcome == "closed":
        return [or_(and_(*merged), and_(*abandoned))]
    return [*merged, p.outcome == Outcome.REVERTED] if outcome == Outcome.REVERTED else merged


def _closed_between(organization_id: int, begin: datetime, end: datetime) -> list[Select[Any]]:
    """Ids of the pull requests merged, and of those closed unmerged: one statement for each index."""
    p = pull_requests.c
    mine = p.organization_id == organization_id
    return [
        select(p.id).where(mine, p.merged_at >= begin, p.merged_at < end),
        select(p.id).where(mine, p.closed_at >= begin, p.closed_at < end, p.merged_at.is_(None)),
    ]
