"""What the page of one repository shows besides its pull requests: sync, direct work, prompts, link buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Row, and_, cast, func, select

from costlens.domain.links import UnlinkedReason
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, Window
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.pulls import login_of
from costlens.store.roi_spend import spend_of, summed


def find_sync(tx: Tx, organization_id: int, repository_id: int) -> Row[Any] | None:
    """How far the repository is read from GitHub. None: it is not read from there."""
    source = t.github_repositories.c
    return tx.execute(
        select(t.github_repositories)
        .where(source.organization_id == organization_id, source.repository_id == repository_id)
        .order_by(source.id)
        .limit(1)
    ).first()


def get_repository(tx: Tx, organization_id: int, name: str) -> Row[Any] | None:
    """A repository by `owner/name`, with its team's name. None: there is none."""
    repository, team, alias = t.repositories.c, t.teams.c, t.repository_aliases.c
    return tx.execute(
        select(t.repositories, team.name.label("team"))
        .join(t.repository_aliases, alias.repository_id == repository.id)
        .outerjoin(t.teams, and_(team.id == repository.team_id, team.organization_id == repository.organization_id))
        .where(alias.organization_id == organization_id, alias.name == name.lower())
        .where(repository.organization_id == organization_id)
    ).first()


def direct_commits(
    tx: Tx, organization_id: int, repository_id: int, window: Window, filters: Filters, limit: int
) -> Sequence[Row[Any]]:
    """Commits outside pull requests with the runs of the window that are counted for them, dearest first."""
    link, run, commit = t.links.c, t.runs.c, t.commits.c
    begin, end = bounds(window)
    sums = (
        select(
            link.commit_sha,
            func.count().label("runs"),
            cast(func.sum(link.cost_nanos), BigInteger).label("cost_nanos"),
            func.min(run.id).label("run_id"),
        )
        .join(t.runs, run.id == link.run_id)
        .where(
            link.organization_id == organization_id,
            link.repository_id == repository_id,
            link.pull_request_id.is_(None),
            link.valid_to.is_(None),
            link.state == "counted",
            run.occurred_at >= begin,
            run.occurred_at < end,
            *_of_run(filters),
        )
        .group_by(link.commit_sha)
        .subquery()
    )
    return tx.execute(
        select(
            sums,
            func.count().over().label("commits"),
            commit.message,
            commit.committed_at,
            login_of(commit.person_id, organization_id).label("author"),
        )
        .outerjoin(t.commits, and_(commit.repository_id == repository_id, commit.sha == sums.c.commit_sha))
        .order_by(sums.c.cost_nanos.desc(), sums.c.commit_sha)
        .limit(limit)
    ).all()


def _of_run(filters: Filters) -> list[Any]:
    run = t.runs.c
    conditions = []
    if filters.team_id is not None:
        conditions.append(run.team_id == filters.team_id if filters.team_id else run.team_id.is_(None))
    if filters.provider is not None:
        conditions.append(run.provider == filters.provider)
    return conditions


def prompt_sums(
    tx: Tx, organization_id: int, repository_id: int, window: Window, filters: Filters
) -> Sequence[Row[Any]]:
    """Runs, successes, runs with a price and cost of the window by promptId ('': not named), dearest first."""
    day = t.rollup_day.c
    conditions = [
        day.organization_id == organization_id,
        day.day.between(window.start, window.end),
        day.repository_id == repository_id,
    ]
    if filters.team_id is not None:
        conditions.append(day.team_id == filters.team_id)
    if filters.provider is not None:
        conditions.append(day.provider == filters.provider)
    cost = cast(func.sum(day.cost_nanos), BigInteger).label("cost_nanos")
    return tx.execute(
        select(
            day.prompt_id,
            cast(func.sum(day.runs), BigInteger).label("runs"),
            cast(func.sum(day.succeeded), BigInteger).label("succeeded"),
            cast(func.sum(day.priced_runs), BigInteger).label("priced_runs"),
            cost,
        )
        .where(*conditions)
        .group_by(day.prompt_id)
        .having(func.sum(day.runs) > 0)
        .order_by(cost.desc(), day.prompt_id)
    ).all()


# Link state and reason of what is not counted, and how the columns of rollup_spend begin that hold it.
_BUCKETS = {
    **{(state, ""): state for state in ("suggested", "pending", "not_code")},
    **{("unlinked", str(reason)): str(reason) for reason in UnlinkedReason},
}


def bucket_sums(
    tx: Tx, organization_id: int, window: Window, filters: Filters
) -> dict[tuple[str, str], tuple[int, int]]:
    """(link state, reason) → (runs, cost) of the window's runs; the reason is '' unless the state is unlinked."""
    spend = t.rollup_spend.c
    scope = "team" if filters.team_id is not None and filters.repository_id is None else "repository"
    names = tuple(name for bucket in _BUCKETS.values() for name in (f"{bucket}_runs", f"{bucket}_nanos"))
    query = select(summed(spend.ledger_runs), summed(spend.counted_nanos), *(summed(spend[name]) for name in names))
    counted_runs, counted, *sums = tx.execute(
        query.where(*spend_of(organization_id, scope, window.start, window.end, filters))
    ).one()
    others = dict(zip(_BUCKETS, zip(sums[::2], sums[1::2], strict=True), strict=True))
    counted_runs -= sum(runs for runs, _ in others.values())
    found = {("counted", ""): (counted_runs, counted)} | others
    return {bucket: (runs, cost) for bucket, (runs, cost) in found.items() if runs or cost}
