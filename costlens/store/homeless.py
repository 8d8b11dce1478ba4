"""Runs that name no repository, and the one whose trailers or links name them: each is linked in one place only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select

from costlens.domain.link_rules import TRAILER_SLACK
from costlens.domain.runs import read_id, show_id
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.types import EPOCH

_Place = tuple[int, int, datetime, int]  # how sure, author time or later, when; repository: the least one wins
_CONFIRMED, _BY_ID, _BY_SESSION, _REJECTED = range(4)


def homes(tx: Tx, organization_id: int, runs: Sequence[Row[Any]]) -> dict[int, int]:
    """Repository by run id, of the given runs without one that a person or a trailer has put somewhere.

    A person's word comes before an id and an id before a session. A session that commits of several repositories
    name belongs, run by run, to the one whose commit comes first after the run, as rule S1 has it.
    """
    if not runs:
        return {}
    decided: dict[int, list[_Place]] = defaultdict(list)
    decision, pull = t.link_decisions.c, t.pull_requests.c
    for row in tx.execute(
        select(decision.run_id, decision.confirmed, pull.repository_id)
        .join(t.pull_requests, pull.id == decision.pull_request_id)
        .where(decision.organization_id == organization_id)
    ):
        kind = _CONFIRMED if row.confirmed else _REJECTED
        decided[row.run_id].append((kind, 0, EPOCH, row.repository_id))
    named = _mentions(tx, organization_id)
    found: dict[int, int] = {}
    for run in runs:
        places = list(decided.get(run.id, ()))
        for key in {show_id("run", run.id), run.request_id, run.correlation_id}:
            places += [(_BY_ID, 0, EPOCH, row.repository_id) for row in named.get(("run", key), ())]
        places += [_of_session(run, row) for row in named.get(("session", run.session_id), ())]
        if places:
            found[run.id] = min(places)[-1]
    return found


def _of_session(run: Row[Any], row: Row[Any]) -> _Place:
    earliest = run.occurred_at - TRAILER_SLACK
    if row.authored_at is None:  # a pull request's body
        return _BY_SESSION, 2, EPOCH, row.repository_id
    if row.authored_at >= earliest:
        return _BY_SESSION, 0, row.authored_at, row.repository_id
    return _BY_SESSION, 1 if row.committed_at >= earliest else 3, EPOCH, row.repository_id


def _mentions(tx: Tx, organization_id: int) -> dict[tuple[str, str | None], list[Row[Any]]]:
    """Where runs and sessions are named, with the times of the commit that names them."""
    mention, commit = t.mentions.c, t.commits.c
    rows = tx.execute(
        select(mention.kind, mention.value, mention.repository_id, commit.authored_at, commit.committed_at)
        .outerjoin(t.commits, and_(commit.repository_id == mention.repository_id, commit.sha == mention.source))
        .where(mention.organization_id == organization_id, mention.kind.in_(("run", "session")))
    )
    found: dict[tuple[str, str | None], list[Any]] = defaultdict(list)
    for row in rows:
        found[row.kind, row.value].append(row)
    return found


def names_of(tx: Tx, organization_id: int, repository_id: int) -> tuple[list[int], list[str], list[str]]:
    """What a repository says of runs: ids (also those that a person has put here), names of runs, and sessions."""
    mention, decision = t.mentions.c, t.link_decisions.c
    rows = tx.execute(
        select(mention.kind, mention.value).where(
            mention.organization_id == organization_id, mention.repository_id == repository_id
        )
    ).all()
    names = sorted({row.value for row in rows if row.kind == "run"})
    sessions = sorted({row.value for row in rows if row.kind == "session"})
    decided = tx.scalars(
        select(decision.run_id)
        .join(t.pull_requests, t.pull_requests.c.id == decision.pull_request_id)
        .where(decision.organization_id == organization_id, t.pull_requests.c.repository_id == repository_id)
    )
    ids = {*decided, *(number for name in names if (number := read_id("run", name)) is not None)}
    return sorted(ids), names, sessions
