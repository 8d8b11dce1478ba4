"""Marks find every run whose links a change of facts can change."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from costlens.domain.link_index import build_index
from costlens.domain.link_marks import Mark, MarkKind, branches_of, marks_of_change
from costlens.domain.link_rules import NEIGHBOUR
from costlens.domain.linking import RULESET_V1, link_runs
from costlens.domain.links import PullFact, RepositoryFacts, RunFact
from tests.domain.link_facts import BOB, DAY, HOUR, MINUTE, NOON, a_commit, a_pull, a_run
from tests.domain.link_worlds import World, changes, worlds


def points_at(mark: Mark, run: RunFact) -> bool:
    """What the database is asked for a mark."""
    if not run.code or (mark.kind not in (MarkKind.KEY, MarkKind.SESSION) and not run.has_repository):
        return False
    if (mark.since and run.occurred_at < mark.since) or (mark.until and run.occurred_at > mark.until):
        return False
    return (
        mark.value
        in {
            MarkKind.RUN: {str(run.id)},
            MarkKind.KEY: run.keys,
            MarkKind.SESSION: {run.session_id},
            MarkKind.COMMIT: {run.commit_sha},
            MarkKind.PULL: {str(run.pr_number)},
            MarkKind.BRANCH: {run.branch},
            MarkKind.PERSON: {str(run.person_id)},
        }[mark.kind]
    )


def known(facts: RepositoryFacts) -> set[str]:
    index = build_index(facts)
    return {*index.by_head, *index.outside_branches}


def touched(runs: list[RunFact], before: RepositoryFacts, after: RepositoryFacts) -> set[int]:
    """Runs that marks point at, and those beside them in their sessions."""
    names = branches_of([before, after])
    marks = marks_of_change(before, after) | {
        Mark(MarkKind.BRANCH, name) for name in names & (known(before) ^ known(after))
    }
    marked = [run for run in runs if any(points_at(mark, run) for mark in marks)]
    beside = {
        run.id
        for run in runs
        for other in marked
        if run.session_id == other.session_id is not None and abs(run.occurred_at - other.occurred_at) <= NEIGHBOUR
    }
    return beside | {run.id for run in marked}


@settings(max_examples=400)
@given(worlds(), st.data())
def test_every_run_that_a_change_moves_is_marked(world: World, data: st.DataObject) -> None:
    runs, before, decisions = world
    decisions = [one for one in decisions if one.pull_request_id in {pull.id for pull in before.pulls}]
    after = data.draw(changes(before))
    first, second = (link_runs(runs, facts, decisions, RULESET_V1, NOON + 40 * DAY) for facts in (before, after))
    moved = {one.run_id: (one, other) for one, other in zip(first, second, strict=True) if one != other}
    for one, other in moved.values():
        event(f"to or from {sorted({link.rule for link in (*one.links, *other.links)})}")
    assert moved.keys() <= touched(runs, before, after)


def facts_of(*pulls: PullFact) -> RepositoryFacts:
    return RepositoryFacts("main", pulls, ())


def test_marks_are_narrow() -> None:
    """A merge touches the pull request's own branch, people and commits, at their time."""
    commit = a_commit("c1", NOON)
    before = a_pull(7, commit, merged_at=None, closed_at=None)
    after = a_pull(7, commit, merged_at=NOON + DAY, closed_at=NOON + DAY)
    runs = [
        a_run(1, NOON - HOUR, branch="feature/7", person_id=BOB),
        a_run(2, NOON - HOUR, branch="elsewhere"),
        a_run(3, NOON - DAY - MINUTE, branch="main"),
        a_run(4, NOON + MINUTE, branch="main"),
        a_run(5, NOON - HOUR, branch="main", person_id=BOB),
        a_run(6, NOON - 8 * DAY, branch="feature/7", person_id=BOB),
        a_run(7, NOON + 9 * DAY, branch="main", pr_number=7),
    ]
    assert touched(runs, facts_of(before), facts_of(after)) == {1, 2, 7}
    assert touched(runs, facts_of(before), facts_of(before)) == set()
    assert touched(runs, facts_of(), facts_of(after)) == {1, 2, 6, 7}, "its branch is known from now on"
