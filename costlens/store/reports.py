"""Read queries of the ROI reports: plain SQL over rollups and pull requests, never over runs.

Each function is one statement, takes the organization first, and obeys the same filters, so that the figures of a
report can be added up and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Select,
    Text,
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
    type_coerce,
)

from costlens.domain.links import Outcome
from costlens.domain.roi import REVERT_DAYS, AssistedShare, Filters, PullCost, Window
from costlens.domain.runs import NOT_CODE_ENVIRONMENTS
from costlens.store.ai_signs import declared, linked, manual
from costlens.store.engine import Tx
from costlens.store.roi_spend import cut_of, narrow, summed
from costlens.store.tables import (
    organizations,
    people,
    pull_requests,
    repositories,
    rollup_15m,
    rollup_day,
    rollup_dimension,
    rollup_pulls,
    rollup_spend,
    teams,
)

_DAY = 86_400_000


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


def pull_costs(
    tx: Tx, organization_id: int, scope: str, begin: datetime, end: datetime, filters: Filters
) -> list[PullCost]:
    """Whole-life counted cost, per row, of the pull requests merged or closed in [begin, end), by pull and row."""
    u, p, key = rollup_pulls.c, pull_requests.c, rollup_pulls.c[f"{scope}_id"]
    # As numbers: making moments of them takes longer than finding them.
    merged_at, closed_at, first, reverted_at = (
        type_coerce(column, BigInteger) for column in (p.merged_at, p.closed_at, p.first_commit_at, p.reverted_at)
    )
    late = reverted_at - merged_at > REVERT_DAYS * _DAY
    reverted = case((or_(p.outcome != Outcome.REVERTED, func.coalesce(late, false())), 0), else_=1)
    cycle = case((merged_at >= first, merged_at - first))
    r = repositories.c
    untold = select(r.id).where(r.organization_id == organization_id, r.closed_known.is_(False))
    mine = [p.organization_id == organization_id, u.organization_id == organization_id, *narrow(rollup_pulls, filters)]
    found: list[PullCost] = []
    for conditions, facts in (
        ([p.merged_at >= begin, p.merged_at < end], (literal(1), merged_at, reverted, cycle)),
        (
            [p.closed_at >= begin, p.closed_at < end, p.merged_at.is_(None)],
            (literal(0), closed_at, literal(0), literal(None)),
        ),
    ):
        query = (
            select(key, p.id, summed(u.cost_nanos), *facts, p.repository_id.not_in(untold))
            .select_from(pull_requests.join(rollup_pulls, u.pull_request_id == p.id))
            .where(*mine, *conditions)
            .group_by(p.id, key)
            .having(or_(func.sum(u.runs) > 0, func.sum(u.cost_nanos) > 0))
        )
        found += map(PullCost._make, tx.execute(query).all())
    return sorted(found, key=itemgetter(1, 0))


def assisted_share(
    tx: Tx, organization_id: int, begin: datetime, end: datetime, repository_id: int | None
) -> AssistedShare:
    """Pull requests merged in [begin, end), of one repository or all, by the strongest sign of AI."""
    p = pull_requests.c
    # A person's word comes before every sign, as in domain/pulls.AiState. A sign is looked at first: few have one, so
    # `linked` is looked for about once for each.
    with_runs = linked(organization_id)
    sign = case((and_(declared(), ~manual()), case((with_runs, 0), else_=1)), else_=0)
    runs = case((manual(), 0), else_=case((with_runs, 1), else_=0))
    query = select(func.count(), summed(runs), summed(sign)).where(
        p.organization_id == organization_id, p.merged_at >= begin, p.merged_at < end
    )
    if repository_id is not None:
        query = query.where(p.repository_id == repository_id)
    merged, with_links, with_sign = tx.execute(query).one()
    return AssistedShare(with_links, with_sign, merged - with_links - with_sign)


def quality(tx: Tx, organization_id: int, scope: str, window: Window, filters: Filters) -> Quality:
    """Runs, those priced and with exact usage, and the people behind code runs."""
    s = rollup_spend.c
    query = select(summed(s.runs), summed(s.priced_runs), summed(s.exact_runs)).where(
        s.organization_id == organization_id,
        s.cut == cut_of(scope, filters),
        s.day.between(window.start, window.end),
        *narrow(rollup_spend, filters),
    )
    people_behind = tx.scalar(_contributors(organization_id, window, filters))
    return Quality(*tx.execute(query).one(), contributors=int(people_behind or 0))


def _contributors(organization_id: int, window: Window, filters: Filters) -> Select[Any]:
    if filters == Filters():
        d = rollup_dimension.c
        worked = exists().where(
            d.organization_id == organization_id,
            d.dimension == "contributor",
            d.value == cast(people.c.id, Text),
            d.day.between(window.start, window.end),
            d.runs > 0,
        )
        return select(func.count()).where(people.c.organization_id == organization_id, ~people.c.bot, worked)
    w = rollup_day.c
    bot = exists().where(people.c.id == w.person_id, people.c.bot)
    return select(func.count(distinct(w.person_id))).where(
        w.organization_id == organization_id,
        w.day.between(window.start, window.end),
        w.person_id != 0,
        w.environment.not_in(NOT_CODE_ENVIRONMENTS),
        ~bot,
        *narrow(rollup_day, filters),
    )
