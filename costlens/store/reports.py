"""Read queries of the ROI reports: plain SQL over rollups and pull requests, never over runs.

Each function is one statement, takes the organization first, and obeys the same filters, so that the figures of a
report can be added up and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    and_,
    case,
    cast,
    distinct,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    union,
)

from costlens.domain.links import LinkState, Outcome
from costlens.domain.periods import bounds
from costlens.domain.roi import AssistedShare, Filters, PullCost, PullRequestRow, Spend, Window
from costlens.store.engine import Tx
from costlens.store.tables import (
    identities,
    organizations,
    people,
    pull_requests,
    repositories,
    rollup_15m,
    rollup_day,
    rollup_links,
    teams,
)

NOT_CODE_ENVIRONMENTS = ("production", "staging")
_OUTCOMES = (Outcome.MERGED, Outcome.OPEN, Outcome.ABANDONED, Outcome.REVERTED)


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    name: str
    timezone: str
    hourly_cost_cents: int | None  # None: not set
    data_through: datetime | None  # start of the last quarter hour that holds a run. None: no runs at all


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What a report says of one repository or team besides its figures."""

    id: int
    name: str
    team: str | None  # None: a team itself, or a repository without a team
    hourly_cost_cents: int | None  # a team's own. None: a repository, or a team that has not set it


@dataclass(frozen=True, slots=True)
class DayRow:
    """Spend of one row of the report on one day."""

    row: int  # repository or team id, 0: none
    day: date
    spend: Spend


@dataclass(frozen=True, slots=True)
class Quality:
    """How complete the numbers of a window are."""

    runs: int
    priced_runs: int
    exact_runs: int
    contributors: int  # people, bots left out, with runs outside production and staging


def organization_facts(tx: Tx, organization_id: int) -> OrganizationFacts | None:
    """Name, time zone, hourly cost and freshness of an organization; None: there is none of this id."""
    newest = (
        select(func.max(rollup_15m.c.bucket)).where(rollup_15m.c.organization_id == organization_id).scalar_subquery()
    )
    o = organizations.c
    row = tx.execute(select(o.name, o.timezone, o.hourly_cost_cents, newest).where(o.id == organization_id)).first()
    return None if row is None else OrganizationFacts(*row)


def repository_facts(tx: Tx, organization_id: int) -> dict[int, RowFacts]:
    """Name and team of every repository, by id."""
    joined = repositories.outerjoin(
        teams, and_(teams.c.id == repositories.c.team_id, teams.c.organization_id == organization_id)
    )
    query = (
        select(repositories.c.id, repositories.c.name, teams.c.name)
        .select_from(joined)
        .where(repositories.c.organization_id == organization_id)
    )
    return {id: RowFacts(id, name, team, None) for id, name, team in tx.execute(query)}


def team_facts(tx: Tx, organization_id: int) -> dict[int, RowFacts]:
    """Name and hourly cost of every team, by id."""
    query = select(teams.c.id, teams.c.name, teams.c.hourly_cost_cents).where(
        teams.c.organization_id == organization_id
    )
    return {id: RowFacts(id, name, None, hourly) for id, name, hourly in tx.execute(query)}


def spend_by_day(tx: Tx, organization_id: int, scope: str, first: date, last: date, filters: Filters) -> list[DayRow]:
    """Spend per row and day from first to last day, both included, each nano-dollar in one bucket.

    Counted cost without a pull request that is known goes to commits outside any.
    """
    r, key = rollup_links.c, _row_key(scope)
    pull = pull_requests.c
    counted = r.state == LinkState.COUNTED
    sums = [
        _sum(r.cost_nanos, counted),
        *(_sum(r.cost_nanos, and_(counted, pull.outcome == outcome)) for outcome in _OUTCOMES),
        *(
            _sum(r.cost_nanos, r.state == state)
            for state in (LinkState.SUGGESTED, LinkState.PENDING, LinkState.UNLINKED, LinkState.NOT_CODE)
        ),
        _sum(r.runs),
        _sum(r.runs, r.state == LinkState.NOT_CODE),
        _sum(r.priced_runs),
    ]
    query = (
        select(key, r.day, *sums)
        .select_from(
            rollup_links.outerjoin(
                pull_requests, and_(pull.id == r.pull_request_id, pull.organization_id == r.organization_id)
            )
        )
        .where(r.organization_id == organization_id, r.day.between(first, last), *_filtered(rollup_links, filters))
        .group_by(r.day, key)
    )
    return [DayRow(row, day, _spend(*numbers)) for row, day, *numbers in tx.execute(query).all()]


def _spend(
    counted: int,
    merged: int,
    open: int,
    abandoned: int,
    reverted: int,
    suggested: int,
    pending: int,
    unlinked: int,
    not_code: int,
    runs: int,
    not_code_runs: int,
    priced_runs: int,
) -> Spend:
    return Spend(
        counted=counted,
        merged=merged,
        direct=counted - merged - open - abandoned - reverted,
        open=open,
        abandoned=abandoned,
        reverted=reverted,
        suggested=suggested,
        pending=pending,
        unlinked=unlinked,
        not_code=not_code,
        runs=runs,
        not_code_runs=not_code_runs,
        unpriced_runs=runs - priced_runs,
    )


def unlinked_reasons(tx: Tx, organization_id: int, window: Window, filters: Filters) -> dict[str, int]:
    """Cost of the window's unlinked runs by reason, dearest first."""
    r = rollup_links.c
    cost = _sum(r.cost_nanos).label("cost")
    query = (
        select(r.reason, cost)
        .where(
            r.organization_id == organization_id,
            r.day.between(window.start, window.end),
            r.state == LinkState.UNLINKED,
            *_filtered(rollup_links, filters),
        )
        .group_by(r.reason)
        .order_by(cost.desc(), r.reason)
    )
    return {row.reason: row.cost for row in tx.execute(query)}


def pull_costs(
    tx: Tx, organization_id: int, scope: str, begin: datetime, end: datetime, filters: Filters
) -> list[PullCost]:
    """Whole-life counted cost, per row, of the pull requests merged or closed in [begin, end)."""
    r, p, key = rollup_links.c, pull_requests.c, _row_key(scope)
    chosen = union(*_closed_between(organization_id, begin, end)).subquery("chosen")
    query = (
        select(
            key,
            p.id,
            _sum(r.cost_nanos),
            p.outcome,
            p.merged_at,
            p.closed_at,
            p.reverted_at,
            p.first_commit_at,
            func.coalesce(repositories.c.closed_known, true()),
        )
        .select_from(
            chosen.join(pull_requests, p.id == chosen.c.id)
            .join(repositories, repositories.c.id == p.repository_id)
            .join(rollup_links, _counted_on(p.id))
        )
        .where(r.organization_id == organization_id, *_filtered(rollup_links, filters))
        .group_by(key, p.id, repositories.c.closed_known)
        .having(_any_left())
        .order_by(p.id, key)
    )
    return [PullCost(*row) for row in tx.execute(query).all()]


def assisted_share(
    tx: Tx, organization_id: int, begin: datetime, end: datetime, repository_id: int | None
) -> AssistedShare:
    """Pull requests merged in [begin, end), of one repository or all, by the strongest sign of AI."""
    p, r = pull_requests.c, rollup_links.c
    linked = exists().where(r.organization_id == organization_id, _counted_on(p.id), or_(r.runs > 0, r.cost_nanos > 0))
    one = literal(1)
    # A person's word comes first, as in domain/pulls.AiState.
    manual = func.coalesce(p.ai_mark, "") == "manual"
    seen = or_(p.ai_signal.is_not(None), p.ai_mark.is_not(None))
    query = select(
        _sum(one, and_(~manual, linked)),
        _sum(one, and_(~manual, ~linked, seen)),
        _sum(one, or_(manual, and_(~linked, ~seen))),
    ).where(p.organization_id == organization_id, p.merged_at >= begin, p.merged_at < end)
    if repository_id is not None:
        query = query.where(p.repository_id == repository_id)
    return AssistedShare(*tx.execute(query).one())


def quality(tx: Tx, organization_id: int, window: Window, filters: Filters) -> Quality:
    """Runs, those priced and with exact usage, and the people behind code runs."""
    d = rollup_day.c
    bot = exists().where(people.c.id == d.person_id, people.c.bot)
    person = case((and_(d.person_id != 0, d.environment.not_in(NOT_CODE_ENVIRONMENTS), ~bot), d.person_id))
    query = select(_sum(d.runs), _sum(d.priced_runs), _sum(d.exact_runs), func.count(distinct(person))).where(
        d.organization_id == organization_id,
        d.day.between(window.start, window.end),
        *_filtered(rollup_day, filters),
    )
    return Quality(*tx.execute(query).one())


PULL_SORTS = ("ended", "cost", "runs", "cycle")


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
        "cycle": func.coalesce(cycle, literal(2**62 if ascending else -(2**62), BigInteger)),
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


def _number(instant: ColumnElement[Any]) -> ColumnElement[int]:
    return type_coerce(instant, BigInteger)


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
    count, runs, cost = tx.execute(select(func.count(), _sum(every.c.runs), _sum(every.c.cost))).one()
    return int(count), int(runs), int(cost)


def _pull_requests(
    organization_id: int, window: Window, filters: Filters, outcome: str | None, ai: str | None
) -> Select[Any]:
    begin, end = bounds(window)
    r, p, i = rollup_links.c, pull_requests.c, identities.c
    spent = select(r.pull_request_id).where(
        r.organization_id == organization_id,
        r.day.between(window.start, window.end),
        r.state == LinkState.COUNTED,
        *_filtered(rollup_links, filters),
    )
    without = ai in ("declared", "none_seen")  # a look at the others too
    chosen = union(*_closed_between(organization_id, begin, end), spent).subquery("chosen")
    runs, cost = _sum(r.runs).label("runs"), _sum(r.cost_nanos).label("cost")
    author = (
        select(func.min(i.value))
        .where(i.organization_id == organization_id, i.person_id == p.person_id, i.kind == "login")
        .scalar_subquery()
        .label("author")
    )
    counted = and_(r.organization_id == p.organization_id, _counted_on(p.id), *_filtered(rollup_links, filters))
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
            .join(rollup_links, counted, isouter=without)
        )
        .where(
            p.organization_id == organization_id,
            *([p.repository_id == filters.repository_id] if without and filters.repository_id is not None else []),
            *_of_outcome(outcome, begin, end),
        )
        .group_by(p.id, repositories.c.name)
        .having(_of_ai(ai))
    )


def _of_ai(ai: str | None) -> ColumnElement[bool]:
    """Which of the pull requests, after their counted links are summed. None: those that have any."""
    p = pull_requests.c
    linked, manual = func.coalesce(_any_left(), false()), func.coalesce(p.ai_mark, "") == "manual"
    if ai is None:
        return _any_left()
    if ai == "linked":
        return and_(_any_left(), ~manual)
    seen = or_(p.ai_signal.is_not(None), p.ai_mark.is_not(None))
    return and_(~linked, seen, ~manual) if ai == "declared" else or_(manual, and_(~linked, ~seen))


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


def _row_key(scope: str) -> ColumnElement[int]:
    return {"repository": rollup_links.c.repository_id, "team": rollup_links.c.team_id}[scope]


def _counted_on(pull_request_id: ColumnElement[int]) -> ColumnElement[bool]:
    r = rollup_links.c
    return and_(r.pull_request_id == pull_request_id, r.state == LinkState.COUNTED)


def _any_left() -> ColumnElement[bool]:
    """Rows whose links were all taken back stay behind with zeros; they are no counted link."""
    r = rollup_links.c
    return or_(func.sum(r.runs) > 0, func.sum(r.cost_nanos) > 0)


def _filtered(table: Table, filters: Filters) -> list[ColumnElement[bool]]:
    chosen = {
        "team_id": filters.team_id,
        "repository_id": filters.repository_id,
        "provider": filters.provider,
    }
    return [table.c[name] == value for name, value in chosen.items() if value is not None]


def _sum(column: ColumnElement[int], condition: ColumnElement[bool] | None = None) -> ColumnElement[int]:
    """Sum of the rows that meet the condition, 0 for none, as a whole number on every engine."""
    value = column if condition is None else case((condition, column), else_=literal(0))
    return cast(func.coalesce(func.sum(value), 0), BigInteger)
