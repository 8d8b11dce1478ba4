"""Merged pull requests as the comparison of AI-assisted and other work reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Text, and_, case, cast, exists, func, literal, or_, select

from costlens.store import tables as t
from costlens.store.ai_signs import declared, linked, manual
from costlens.store.engine import Tx


@dataclass(frozen=True, slots=True)
class MergedPull:
    """One merged pull request of a known author and size."""

    id: int
    repository_id: int
    person_id: int
    bot: bool
    title: str
    head_ref: str | None  # None: unknown
    revert: bool  # it takes another one back
    lines: int
    created_at: datetime
    merged_at: datetime
    outcome: str
    reverted_at: datetime | None  # None: not reverted, or at a time unknown
    first_commit_at: datetime | None  # None: commits unknown
    assisted: bool  # a counted link, a declared sign or a person's word; not if a person says it was made by hand


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Reviews of a pull request by people other than its author."""

    first_at: datetime
    changes_requested: int


def merged_pulls(
    tx: Tx,
    organization_id: int,
    begin: datetime,
    end: datetime,
    *,
    team_id: int | None = None,
    repository_id: int | None = None,
) -> list[MergedPull]:
    """Those merged in [begin, end), of one repository or of the repositories of one team, by id."""
    p, person = t.pull_requests.c, t.people.c
    mention = t.mentions.c
    number = literal("#") + cast(p.number, Text)
    revert = exists().where(
        mention.repository_id == p.repository_id, mention.kind == "revert", mention.source == number
    )
    query = (
        select(
            p.id,
            p.repository_id,
            p.person_id,
            func.coalesce(person.bot, False),
            p.title,
            p.head_ref,
            revert,
            p.additions + p.deletions,
            p.created_at,
            p.merged_at,
            p.outcome,
            p.reverted_at,
            p.first_commit_at,
            and_(or_(linked(organization_id), declared()), ~manual()),
        )
        .select_from(
            t.pull_requests.join(t.repositories, t.repositories.c.id == p.repository_id).outerjoin(
                t.people, and_(person.id == p.person_id, person.organization_id == organization_id)
            )
        )
        .where(
            p.organization_id == organization_id,
            p.merged_at >= begin,
            p.merged_at < end,
            p.person_id.is_not(None),
            p.additions.is_not(None),
            p.deletions.is_not(None),
        )
        .order_by(p.id)
    )
    query = query.where(*_of(organization_id, team_id, repository_id))
    return [MergedPull(*row) for row in tx.execute(query)]


def _of(organization_id: int, team_id: int | None, repository_id: int | None) -> list[ColumnElement[bool]]:
    """Pull requests of one repository, or of the repositories of one team (0: of none)."""
    p, repository = t.pull_requests.c, t.repositories.c
    found: list[ColumnElement[bool]] = []
    if team_id is not None:
        mine = select(repository.id).where(
            repository.organization_id == organization_id, func.coalesce(repository.team_id, 0) == team_id
        )
        found.append(p.repository_id.in_(mine))
    if repository_id is not None:
        found.append(p.repository_id == repository_id)
    return found


def reviews_of(
    tx: Tx,
    organization_id: int,
    begin: datetime,
    end: datetime,
    *,
    team_id: int | None = None,
    repository_id: int | None = None,
) -> dict[int, Reviewed]:
    """Reviews by others, bots left out, of the same pull requests as `merged_pulls`, by pull request."""
    p, review, person = t.pull_requests.c, t.pull_request_reviews.c, t.people.c
    query = (
        select(
            p.id,
            func.min(review.submitted_at),
            func.sum(case((review.state == "changes_requested", 1), else_=0)),
        )
        .select_from(
            t.pull_requests.join(t.pull_request_reviews, review.pull_request_id == p.id).outerjoin(
                t.people, person.id == review.person_id
            )
        )
        .where(
            p.organization_id == organization_id,
            p.merged_at >= begin,
            p.merged_at < end,
            func.coalesce(review.person_id, -1) != func.coalesce(p.person_id, 0),
            func.coalesce(person.bot, False).is_(False),
            *_of(organization_id, team_id, repository_id),
        )
        .group_by(p.id)
    )
    return {row[0]: Reviewed(row[1], int(row[2])) for row in tx.execute(query)}
