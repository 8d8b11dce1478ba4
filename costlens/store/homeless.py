"""Runs that name no repository, and the one whose trailers or links name them: each is linked in one place only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select

from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.link_rules import TRAILER_SLACK
from costlens.domain.runs import show_id
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.types import EPOCH, one_of

_Place = tuple[int, int, datetime, int]  # how sure, author time or later, when; repository: the least one wins
_CONFIRMED, _BY_ID, _BY_SESSION, _REJECTED = range(4)
_KINDS = {MarkKind.KEY: "run", MarkKind.SESSION: "session"}


def homes(tx: Tx, organization_id: int, runs: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Repository by run id, of the given runs without one that a person or a trailer has put somewhere.

    A person's word comes before an id and an id before a session. A session that commits of several repositories
    name belongs, run by run, to the one whose commit comes first after the run, as rule S1 has it.
    """
    if not runs:
        return {}
    decided: dict[int, list[_Place]] = defaultdict(list)
    decision, pull = t.link_decisions.c, t.pull_requests.c
    rows = tx.execute(
        select(decision.run_id, decision.confirmed, pull.repository_id)
        .join(t.pull_requests, pull.id == decision.pull_request_id)
        .where(decision.organization_id == organization_id, one_of(decision.run_id, (run["id"] for run in runs)))
    )
    for row in rows:
        kind = _CONFIRMED if row.confirmed else _REJECTED
        decided[row.run_id].append((kind, 0, EPOCH, row.repository_id))
    by_key = _mentions(tx, organization_id, MarkKind.KEY, [key for run in runs for key in _keys(run)])
    by_session = _mentions(
        tx, organization_id, MarkKind.SESSION, [run["session_id"] for run in runs if run["session_id"]]
    )
    found: dict[int, int] = {}
    for run in runs:
        places = list(decided.get(run["id"], ()))
        for key in _keys(run):
            places += [(_BY_ID, 0, EPOCH, row.repository_id) for row in by_key.get(key, ())]
        places += [_of_session(run, row) for row in by_session.get(run["session_id"], ())]
        if places:
            found[run["id"]] = min(places)[-1]
    return found


def _keys(run: Mapping[str, Any]) -> set[str]:
    return {key for key in (show_id("run", run["id"]), run["request_id"], run["correlation_id"]) if key}


def _of_session(run: Mapping[str, Any], row: Row[Any]) -> _Place:
    earliest = run["occurred_at"] - TRAILER_SLACK
    if row.authored_at is None:  # a pull request's body
        return _BY_SESSION, 2, EPOCH, row.repository_id
    if row.authored_at >= earliest:
        return _BY_SESSION, 0, row.authored_at, row.repository_id
    return _BY_SESSION, 1 if row.committed_at >= earliest else 3, EPOCH, row.repository_id


def _mentions(tx: Tx, organization_id: int, kind: MarkKind, values: Iterable[str]) -> dict[str, list[Any]]:
    """Where these are named, with the times of the commit that names them."""
    mention, commit = t.mentions.c, t.commits.c
    found: dict[str, list[Any]] = defaultdict(list)
    rows = tx.execute(
        select(mention.value, mention.repository_id, commit.authored_at, commit.committed_at)
        .outerjoin(t.commits, and_(commit.repository_id == mention.repository_id, commit.sha == mention.source))
        .where(mention.organization_id == organization_id, mention.kind == _KINDS[kind], one_of(mention.value, values))
    )
    for row in rows:
        found[row.value].append(row)
    return found


def names_here(tx: Tx, organization_id: int, repository_id: int, kind: MarkKind, after: str, limit: int) -> list[Mark]:
    """The next names of runs, or sessions, in a repository's trailers, as marks of those runs; in order."""
    mention = t.mentions.c
    named = (
        select(mention.value)
        .distinct()
        .where(
            mention.organization_id == organization_id,
            mention.repository_id == repository_id,
            mention.kind == _KINDS[kind],
            mention.value > after,
        )
    )
    return [Mark(kind, value) for value in tx.scalars(named.order_by(mention.value).limit(limit))]


def decided_here(tx: Tx, organization_id: int, repository_id: int) -> list[Mark]:
    """The runs that a person has linked to a pull request of the repository, or refused to."""
    decision, pull = t.link_decisions.c, t.pull_requests.c
    runs = tx.scalars(
        select(decision.run_id)
        .distinct()
        .join(t.pull_requests, pull.id == decision.pull_request_id)
        .where(decision.organization_id == organization_id, pull.repository_id == repository_id)
    )
    return [Mark(MarkKind.RUN, str(number)) for number in runs]
