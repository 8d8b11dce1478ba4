"""Read queries of the ROI reports: plain SQL over rollups and pull requests, never over runs.

Each function is one statement, takes the organization first, and obeys the same filters, so that the figures of a
report can be added up and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    distinct,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from costlens.domain.periods import bounds
from costlens.domain.roi import AssistedShare, Ended, Filters, Window
from costlens.domain.runs import NOT_CODE_ENVIRONMENTS
from costlens.store.ai_signs import declared, linked, manual
from costlens.store.engine import Tx
from costlens.store.roi_spend import narrow, on_days, packed, summed, unpacked
from costlens.store.rollups import narrowed
from costlens.store.tables import (
    organizations,
    people,
    pull_requests,
    repositories,
    rollup_15m,
    rollup_day,
    rollup_dimension,
    rollup_pulls,
    teams,
)
from costlens.store.types import to_millis


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


def ended_pulls(
    tx: Tx, organization_id: int, scope: str | None, window: Window, comparison: Window, filters: Filters
) -> tuple[Ended, Ended]:
    """The pull requests that ended in a window, and in the one directly before. `scope` None: all of them in row 0."""
    begin, end = map(to_millis, bounds(window))
    earlier = to_millis(bounds(comparison)[0])
    found = {1: _NOTHING, 0: _NOTHING}
    parts = (
        _ended(tx, organization_id, scope, now, span, filters)
        for now, span in ((1, (begin, end)), (0, (earlier, begin)))
    )
    for now, *columns in tx.execute(union_all(*parts)):
        found[now] = Ended(*map(unpacked, columns))
    return found[1], found[0]


_NOTHING = Ended((), (), (), (), (), (), ())


def _ended(
    tx: Tx, organization_id: int, scope: str | None, now: int, span: tuple[int, int], filters: Filters
) -> Select[Any]:
    """One row of lists, which an index of sums tells in the order of time."""
    u, r = rollup_pulls.c, repositories.c
    cut = pull_cut(scope, filters)
    key: ColumnElement[int] = u[f"{scope}_id"] if scope else literal_column("0")
    mine = [u.organization_id == organization_id, u.cut == cut, *narrow(rollup_pulls, filters)]
    mine += [u.ended_at >= span[0], u.ended_at < span[1]]
    facts = ("merged", "reverted", "cycle_ms", "home_id")
    if cut == "whole":
        by = (u.ended_at, u.pull_request_id, *((key,) if scope else ()))  # as the index goes
        known = (func.min(u[name]).label(name) for name in facts)  # the same in each row of a pull request
        some = or_(func.sum(u.runs) > 0, func.sum(u.cost_nanos) > 0)
        every = select(key.label("row"), u.pull_request_id, summed(u.cost_nanos).label("cost_nanos"), *known)
        every = every.where(*mine).group_by(*by).having(some)
    else:
        # Rows of links that were taken back hold zeros.
        mine.append(or_(u.runs > 0, u.cost_nanos > 0))
        every = select(key.label("row"), u.pull_request_id, u.cost_nanos, *(u[name] for name in facts)).where(*mine)
    one = every.subquery().c
    untold = select(r.id).where(r.organization_id == organization_id, r.closed_known.is_(False))
    merged = one.merged == 1
    number: ColumnElement[int] = literal_column(str(now))
    lists = [
        packed(tx, one.row, merged),
        packed(tx, one.pull_request_id, merged),
        packed(tx, one.cost_nanos, merged),
        packed(tx, one.cycle_ms, merged),
        packed(tx, one.row, one.merged == 0),
        packed(tx, one.row, one.reverted == 1),
        packed(tx, one.row, one.home_id.in_(untold)),
    ]
    columns: list[ColumnElement[Any]] = [number.label("now"), *lists]
    return select(*columns)


def pull_cut(scope: str | None, filters: Filters) -> str:
    """The narrowest cut of rollup_pulls that knows the rows of a report (None: all in one) and what its filters ask."""
    asked = {"team": filters.team_id, "repository": filters.repository_id}
    known = {name for name, value in asked.items() if value is not None} | ({scope} if scope else set())
    if filters.provider is not None or len(known) > 1:
        return "whole"
    return known.pop() if known else "pull"


def assisted_share(
    tx: Tx, organization_id: int, begin: datetime, end: datetime, repository_id: int | None
) -> AssistedShare:
    """Pull requests merged in [begin, end), of one repository or all, by the strongest sign of AI."""
    p, u = pull_requests.c, rollup_pulls.c
    # A person's word comes before every sign, as in domain/pulls.AiState. `linked` is asked of the few that have a sign
    # or a word alone: how many are linked in all, an index of sums says.
    with_runs = linked(organization_id)
    sign = case((and_(declared(), ~manual()), case((with_runs, 0), else_=1)), else_=0)
    by_hand = case((manual(), case((with_runs, 1), else_=0)), else_=0)
    all_linked = select(func.count()).where(
        u.organization_id == organization_id,
        u.cut == "pull",
        u.ended_at >= to_millis(begin),
        u.ended_at < to_millis(end),
        u.merged == 1,
        or_(u.runs > 0, u.cost_nanos > 0),
    )
    mine = [p.organization_id == organization_id, p.merged_at >= begin, p.merged_at < end]
    if repository_id is not None:
        mine.append(p.repository_id == repository_id)
        all_linked = all_linked.where(u.home_id == repository_id)
    query = select(func.count(), summed(by_hand), summed(sign), all_linked.scalar_subquery()).where(*mine)
    merged, not_shown, with_sign, with_links = tx.execute(query).one()
    shown = with_links - not_shown
    return AssistedShare(shown, with_sign, merged - shown - with_sign)


def contributors(tx: Tx, organization_id: int, window: Window, filters: Filters) -> int:
    """People, bots left out, with runs outside production and staging."""
    return int(tx.scalar(_contributors(organization_id, window, filters)) or 0)


def _contributors(organization_id: int, window: Window, filters: Filters) -> Select[Any]:
    if filters == Filters(provider=filters.provider):
        d = rollup_dimension.c
        every = "contributor"
        worked = exists().where(
            d.organization_id == organization_id,
            d.dimension == (narrowed(every, "provider", filters.provider) if filters.provider else every),
            d.value == cast(people.c.id, Text),
            d.day.between(window.start, window.end),
            d.runs > 0,
        )
        return select(func.count()).where(people.c.organization_id == organization_id, ~people.c.bot, worked)
    w = rollup_day.c
    span: ColumnElement[bool] = w.day.between(window.start, window.end)
    if filters.team_id is not None:
        span = on_days(w.day, window.start, window.end)
    bot = exists().where(people.c.id == w.person_id, people.c.bot)
    return select(func.count(distinct(w.person_id))).where(
        w.organization_id == organization_id,
        span,
        w.person_id != 0,
        w.environment.not_in(NOT_CODE_ENVIRONMENTS),
        ~bot,
        *narrow(rollup_day, filters),
    )
