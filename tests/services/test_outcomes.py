"""Outcomes of pull requests after imports in any order: what a look at all of them says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens.domain.reverts import PullState, reverted
from costlens.services.sync import import_records
from costlens.store import tables as t
from tests.databases import ENGINES
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, open_ledger

EXAMPLES = {"sqlite": 80, "postgresql": 20}
SHAS = [f"{n}" * 40 for n in range(1, 4)]


@pytest.fixture(scope="module", params=ENGINES)
def ledger(request: pytest.FixtureRequest) -> Iterator[tuple[Ledger, int]]:
    with open_ledger(engine=request.param) as opened:
        yield opened, EXAMPLES[request.param]


def by_sha() -> st.SearchStrategy[str]:
    return st.builds(lambda sha, n: f"This reverts commit {sha[:n]}.", st.sampled_from(SHAS), st.integers(7, 40))


def targets() -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), st.integers(1, 3).map(lambda number: f"Reverts acme/web#{number}"), by_sha())


def pulls() -> st.SearchStrategy[Any]:
    def make(number: int, merged: int | None, closed: bool, branch: str, **values: Any) -> Any:
        at = None if merged is None else NOW + timedelta(hours=merged)
        values |= {"merged_at": at, "closed_at": at or (NOW if closed else None), "head_ref": branch}
        return a_pull(number, merge_commit_sha=SHAS[number - 1] if at else None, **values)

    return st.builds(
        make,
        number=st.integers(1, 3),
        merged=st.none() | st.integers(0, 9),
        closed=st.booleans(),
        branch=st.sampled_from(("feature/1", "feature/2", "revert-1-x")),
        title=st.sampled_from(("A change", "Another")) | st.just("A change") | targets().filter(bool),
        body=st.none() | targets(),
    )


def commits() -> st.SearchStrategy[Any]:
    return st.builds(
        lambda sha, hours, text: a_commit(sha, NOW + timedelta(hours=hours), message=f"Revert\n\n{text}"),
        st.sampled_from(("a" * 40, "b" * 40)),
        st.integers(0, 9),
        by_sha(),
    )


def state_of(row: dict[str, Any]) -> PullState:
    told = (row["title"], row["body"] or "", row["head_ref"], row["merge_commit_sha"], row["merged_at"])
    return PullState(row["number"], *told)


def test_outcomes_are_those_of_all_pull_requests(ledger: tuple[Ledger, int]) -> None:
    opened, examples = ledger

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(pulls() | pulls() | commits(), min_size=1, max_size=4), min_size=3, max_size=6))
    def holds(imports: list[list[Any]]) -> None:
        with opened.store.write() as tx:
            for table in (t.pull_requests, t.commits):
                tx.execute(table.delete())
        for records in imports:
            import_records(opened.store, opened.organization.id, records, now=NOW)
        rows = opened.rows(t.pull_requests)
        undone = reverted(
            [state_of(row) for row in sorted(rows, key=lambda row: row["number"])],
            [(row["sha"], row["message"], row["committed_at"]) for row in opened.rows(t.commits)],
            repository="acme/web",
        )
        for row in rows:
            state = "merged" if row["merged_at"] else "abandoned" if row["closed_at"] else "open"
            at = undone.get(row["number"])
            assert (row["outcome"], row["reverted_at"]) == ("reverted" if at else state, at)

    holds()
