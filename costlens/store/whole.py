"""What an export of a whole organization reads that no report lists: tables page by page, by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, select, tuple_

from costlens.store import tables as t
from costlens.store.engine import Tx

_NAMED = t.repositories.c.name.label("repository")


def people_after(tx: Tx, organization_id: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """People by id, from the one after `after`."""
    return _after(tx, select(t.people), t.people, organization_id, after, limit)


def identities_of(tx: Tx, organization_id: int, people: Sequence[int]) -> Sequence[Row[Any]]:
    """The identities of these people."""
    one = t.identities.c
    query = select(t.identities).where(one.organization_id == organization_id, one.person_id.in_(people))
    return tx.execute(query.order_by(one.kind, one.value)).all()


def pulls_after(tx: Tx, organization_id: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """Pull requests with the name of their repository by id, from the one after `after`."""
    pull = t.pull_requests
    query = select(pull, _NAMED).join(t.repositories, t.repositories.c.id == pull.c.repository_id)
    return _after(tx, query, pull, organization_id, after, limit)


def commits_after(tx: Tx, organization_id: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """Commits with the name of their repository by id, from the one after `after`."""
    commit = t.commits
    query = select(commit, _NAMED).join(t.repositories, t.repositories.c.id == commit.c.repository_id)
    return _after(tx, query, commit, organization_id, after, limit)


def assumptions_after(tx: Tx, organization_id: int, after: int, limit: int) -> Sequence[Row[Any]]:
    """Assumptions of the organization and its teams by id, from the one after `after`."""
    one = t.roi_assumptions
    query = select(one, t.teams.c.name.label("team")).outerjoin(t.teams, t.teams.c.id == one.c.team_id)
    return _after(tx, query, one, organization_id, after, limit)


def decisions_after(tx: Tx, organization_id: int, after: tuple[int, int], limit: int) -> Sequence[Row[Any]]:
    """What people said of links, by run and pull request, from the one after `after`."""
    one = t.link_decisions.c
    query = (
        select(t.link_decisions, t.pull_requests.c.number, _NAMED)
        .outerjoin(t.pull_requests, t.pull_requests.c.id == one.pull_request_id)
        .outerjoin(t.repositories, t.repositories.c.id == t.pull_requests.c.repository_id)
        .where(one.organization_id == organization_id, tuple_(one.run_id, one.pull_request_id) > tuple_(*after))
        .order_by(one.run_id, one.pull_request_id)
        .limit(limit)
    )
    return tx.execute(query).all()


def _after(tx: Tx, query: Select[Any], table: Any, organization_id: int, after: int, limit: int) -> Sequence[Row[Any]]:
    mine = (table.c.organization_id == organization_id, table.c.id > after)
    return tx.execute(query.where(*mine).order_by(table.c.id).limit(limit)).all()
