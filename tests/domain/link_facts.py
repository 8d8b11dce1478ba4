"""Small facts for the linker: one run, one commit, one pull request, each changed by the fields a test names."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.links import CommitFact, PullFact, RunFact

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALICE, BOB = 1, 2
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def a_run(number: int = 1, at: datetime = NOON, **fields: Any) -> RunFact:
    run = RunFact(
        id=number,
        occurred_at=at,
        person_id=ALICE,
        branch=None,
        session_id=None,
        commit_sha=None,
        commit_is_result=False,
        pr_number=None,
        files=frozenset(),
        keys=frozenset({f"run_{number}"}),
    )
    return replace(run, **fields)


def a_commit(
    sha: str = "c1", at: datetime = NOON + 18 * MINUTE, person: int | None = ALICE, **fields: Any
) -> CommitFact:
    return replace(CommitFact(sha, person, at, at, frozenset(), frozenset()), **fields)


def a_pull(number: int = 7, *commits: CommitFact, **fields: Any) -> PullFact:
    own = commits or (a_commit(f"sha-of-{number}"),)
    pull = PullFact(
        id=100 + number,
        number=number,
        head_ref=f"feature/{number}",
        base_ref="main",
        person_id=ALICE,
        created_at=NOON + HOUR,
        merged_at=NOON + DAY,
        closed_at=NOON + DAY,
        commits=own,
    )
    return replace(pull, **fields)
