"""Lists of pull requests: which belong to a window, what they cost over their whole life, in any order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    union,
    union_all,
)

from costlens.domain.links import LinkState, Outcome
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, PullRequestRow, Window
from costlens.store.ai_signs import declared, linked, manual
from costlens.store.engine import Tx
from costlens.store.pulls import login_of
from costlens.store.reports import pull_cut
from costlens.store.roi_spend import narrow, summed
from costlens.store.tables import pull_requests, repositories, rollup_links, rollup_pulls
from costlens.store.types import to_millis

PULL_SORTS = ("ended", "cost", "runs", "cycle")
_UNKNOWN = 2**62  # past every value that is known


def page_of_pulls(
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
) -> tuple[tuple[int, int, int], list[tuple[int, PullRequestRow]]]:
    """(count, runs, whole-life counted cost) of a list on all its pages, and a page of it.

    The list is of pull requests with counted links that were merged or closed in the window, or had spend in it, each
    with the value that it is sorted by: milliseconds of its merge, else creation (ended), nano-dollars, runs, or
    milliseconds from first commit to merge (cycle; unknown ones last).

    `outcome` narrows them to the rows behind one figure: merged (in the window, reverted ones included), reverted,
    abandoned (closed unmerged in the window), closed (merged or abandoned) or open; `ai` to one state of
    domain/pulls.AiState, of which `declared` and `none_seen` have no counted links. The greatest value first, unless
    `ascending`; `after` is the (value, id) of the last row already shown.
    """
    p = pull_requests.c
    # Read once for both, since finding out which belong to the list costs more than all else.
    found = _every(organization_id, window, filters, outcome, ai).cte("every")
    every = found.c
    sums = select(
        func.count().label("pulls"), summed(every.runs).label("all_runs"), summed(every.cost).label("all_cost")
    )
    created = select(_number(p.created_at)).where(p.id == every.id).scalar_subquery()
    value = {
        "ended": case((every.merged == 1, every.ended_at), else_=created),
        "cost": every.cost,
        "runs": every.runs,
        "cycle": func.coalesce(every.cycle_ms, literal(_UNKNOWN if ascending else -_UNKNOWN, BigInteger)),
    }[sort].label("value")
    ranked = select(value, every.id, every.runs, every.cost)
    if after is not None:
        at, id = after
        beyond = (value.element > at, every.id > id) if ascending else (value.element < at, every.id < id)
        ranked = ranked.where(or_(beyond[0], and_(value.element == at, beyond[1])))
    order = (value, every.id) if ascending else (value.desc(), every.id.desc())
    page = ranked.order_by(*order).limit(limit).subquery("page").c
    # Only of the rows of the page the texts are read.
    shown = (
        select(
            page.value,
            p.id,
            p.number,
            p.repository_id,
            repositories.c.name,
            p.title,
            p.outcome,
            page.runs,
            page.cost,
            p.created_at,
            p.merged_at,
            p.closed_at,
            p.first_commit_at,
            login_of(p.person_id, organization_id).label("author"),
        )
        .join(pull_requests, p.id == page.id)
        .join(repositories, repositories.c.id == p.repository_id)
        .where(p.organization_id == organization_id)
        .subquery("shown")
    )
    totals = sums.subquery("totals")
    query = (
        select(totals, shown)
        .select_from(totals.outerjoin(shown, true()))
        .order_by(*((shown.c.value, shown.c.id) if ascending else (shown.c.value.desc(), shown.c.id.desc())))
    )
    rows = tx.execute(query).all()
    pulls, runs, cost = rows[0][:3]
    page_rows = [(int(value), PullRequestRow(*facts)) for _, _, _, value, *facts in rows if value is not None]
    return (int(pulls), int(runs), int(cost)), page_rows


def _every(organization_id: int, window: Window, filters: Filters, outcome: str | None, ai: str | None) -> Select[Any]:
    """id, ended_at, merged, cycle_ms, runs and cost of each pull request that the list is of."""
    if ai in ("declared", "none_seen"):
        return _without_links(organization_id, window, filters, outcome, ai)
    p, u = pull_requests.c, rollup_pulls.c
    begin, end = map(to_millis, bounds(window))
    mine = [
        u.organization_id == organization_id,
        u.cut == pull_cut(None, filters),
        *narrow(rollup_pulls, filters),
        u.merged.is_not(None),  # not of one that is gone
    ]
    if ai == "linked":
        by_hand = select(p.id).where(p.organization_id == organization_id, manual())
        mine.append(u.pull_request_id.not_in(by_hand))
    if outcome == Outcome.REVERTED:  # at any time later
        reverted = select(p.id).where(p.id == u.pull_request_id, p.outcome == Outcome.REVERTED)
        mine += [u.merged == 1, reverted.exists()]
    if outcome in (Outcome.MERGED, Outcome.ABANDONED):
        mine.append(u.merged == int(outcome == Outcome.MERGED))
    # Rows of links that were taken back hold zeros.
    some = or_(summed(u.runs) > 0, summed(u.cost_nanos) > 0)
    facts = (u.ended_at, u.merged, u.cycle_ms)

    def of(*conditions: ColumnElement[bool]) -> Select[Any]:
        if pull_cut(None, filters) != "whole":
            sums = (u.runs.label("runs"), u.cost_nanos.label("cost"))
            return select(u.pull_request_id.label("id"), *facts, *sums).where(
                *mine, *conditions, or_(u.runs > 0, u.cost_nanos > 0)
            )
        return (
            select(
                u.pull_request_id.label("id"),
                *facts,
                summed(u.runs).label("runs"),
                summed(u.cost_nanos).label("cost"),
            )
            .where(*mine, *conditions)
            .group_by(u.pull_request_id, *facts)
            .having(some)
        )

    ended = of(u.ended_at >= begin, u.ended_at < end)
    if outcome == Outcome.OPEN:
        return of(u.ended_at.is_(None), _spent(window, filters))
    if outcome is not None:
        return ended
    elsewhere = of(or_(u.ended_at.is_(None), u.ended_at < begin, u.ended_at >= end), _spent(window, filters))
    return select(union_all(ended, elsewhere).subquery("either"))


def _spent(window: Window, filters: Filters) -> ColumnElement[bool]:
    """Whether a pull request of rollup_pulls has linked spend in the window, looked up for each by an index."""
    r, u = rollup_links.c, rollup_pulls.c
    return (
        select(r.pull_request_id)
        .where(
            r.organization_id == u.organization_id,
            r.pull_request_id == u.pull_request_id,
            # Spelled out, as the index of these rows alone is: with a parameter it could not be used.
            r.state == literal_column(f"'{LinkState.COUNTED}'"),
            r.pull_request_id != literal_column("0"),
            r.day.between(window.start, window.end),
            *narrow(rollup_links, filters),
        )
        .with_hint(rollup_links, "INDEXED BY ix_rollup_links_of_pull", "sqlite")
        .exists()
    )


def _without_links(organization_id: int, window: Window, filters: Filters, outcome: str | None, ai: str) -> Select[Any]:
    """The same of one state of AI that needs no counted links; of a window they are those that were closed in it, or
    had spend, which a person said was no AI.
    """
    begin, end = bounds(window)
    u, p = rollup_pulls.c, pull_requests.c
    spent = select(u.pull_request_id).where(
        u.organization_id == organization_id,
        u.cut == pull_cut(None, filters),
        *narrow(rollup_pulls, filters),
        _spent(window, filters),
    )
    chosen = union(*_closed_between(organization_id, begin, end), spent).subquery("chosen")
    sums = and_(
        u.organization_id == p.organization_id,
        u.cut == pull_cut(None, filters),
        u.pull_request_id == p.id,
        *narrow(rollup_pulls, filters),
    )
    anywhere = linked(organization_id)
    of_state = (
        and_(~anywhere, declared(), ~manual()) if ai == "declared" else or_(manual(), and_(~anywhere, ~declared()))
    )
    merged = case((p.merged_at.is_not(None), 1), else_=0)
    cycle = case((p.merged_at >= p.first_commit_at, _number(p.merged_at) - _number(p.first_commit_at)))
    return (
        select(
            p.id.label("id"),
            func.coalesce(_number(p.merged_at), _number(p.closed_at)).label("ended_at"),
            merged.label("merged"),
            cycle.label("cycle_ms"),
            summed(u.runs).label("runs"),
            summed(u.cost_nanos).label("cost"),
        )
        .select_from(
            chosen.join(pull_requests, p.id == chosen.c.id)
            .join(repositories, repositories.c.id == p.repository_id)
            .join(rollup_pulls, sums, isouter=True)
        )
        .where(
            p.organization_id == organization_id,
            of_state,
            *_of_pull_request(filters),
            *_of_outcome(outcome, begin, end),
        )
        .group_by(p.id)
    )


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
