"""What became of pull requests, as the sums hold it.

Money linked to a pull request is summed by the outcome that it has, and a report's cohort is read by when it ended. Who
adds such money holds the pull request, who changes its outcome has locked its row: none misses what the other does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, select, type_coerce

from costlens.domain.links import Outcome
from costlens.domain.roi import REVERT_DAYS
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.types import one_of, to_millis

_MOMENTS = ("merged_at", "closed_at", "first_commit_at", "reverted_at")
_LATE = REVERT_DAYS * 86_400_000


class Became(NamedTuple):
    """Of one pull request that is known; after the outcome the values of PULL_FACTS, in their order."""

    outcome: str
    ended_at: int | None
    merged: int
    reverted: int
    cycle_ms: int | None
    home_id: int


Outcomes = Mapping[int, Became]  # by pull request id; one that is gone has none
_GONE = (None,) * len(t.PULL_FACTS)


def facts_of(outcomes: Outcomes, pull_request_id: int) -> tuple[int | None, ...]:
    """The values of PULL_FACTS of a pull request."""
    found = outcomes.get(pull_request_id)
    return _GONE if found is None else found[1:]


def outcomes_of(
    tx: Tx, organization_id: int, pull_ids: Iterable[int], *, hold: bool = False, change: bool = False
) -> dict[int, Became]:
    """What became of these pull requests of the organization; those that are gone are left out.

    `hold`: nobody changes it until this transaction ends; `change`: because this one will.
    """
    wanted = sorted(set(pull_ids))
    if not wanted:
        return {}
    p = t.pull_requests.c
    numbers = (type_coerce(p[name], BigInteger) for name in _MOMENTS)
    query = (
        select(p.id, p.outcome, p.repository_id, *numbers)
        .where(p.organization_id == organization_id, one_of(p.id, wanted))
        .order_by(p.id)  # two that lock wait for each other, but never in a circle
    )
    if hold or change:
        query = query.with_for_update(read=not change)
    return {id: _became(*facts) for id, *facts in tx.execute(query)}


def became(pull: Row[Any]) -> Became:
    """The same of a row of pull_requests."""
    moments = (None if at is None else to_millis(at) for at in (getattr(pull, name) for name in _MOMENTS))
    return _became(pull.outcome, pull.repository_id, *moments)


def _became(
    outcome: str, home: int, merged_at: int | None, closed_at: int | None, first: int | None, reverted_at: int | None
) -> Became:
    if merged_at is None:
        return Became(outcome, closed_at, 0, 0, None, home)
    late = reverted_at is not None and reverted_at - merged_at > _LATE
    cycle = merged_at - first if first is not None and first <= merged_at else None
    return Became(outcome, merged_at, 1, int(outcome == Outcome.REVERTED and not late), cycle, home)
