"""The part of a repository that the linker reads is as good as all of it, and marks find what a change moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costlens.domain.github import CommitRecord, PullRecord
from costlens.domain.link_rules import NEIGHBOUR, SESSION_FILES
from costlens.domain.linking import RULESET_V1, link_runs
from costlens.domain.links import CommitFact, PullFact, RepositoryFacts, RunFact
from costlens.services.fact_watch import mark_changes, watch
from costlens.store import tables as t
from costlens.store.facts import facts_around
from costlens.store.identity import repository_ids
from costlens.store.link_marks import marked_runs, read_marks
from tests.databases import ENGINES
from tests.domain.link_facts import BOB, DAY, HOUR, MINUTE, NOON, a_commit, a_pull, a_run
from tests.domain.link_worlds import World, changes, worlds
from tests.services.ledger import Ledger, open_ledger
from tests.services.stored_world import storable, store_facts, store_runs

LATER = NOON + 40 * DAY
EXAMPLES = {"sqlite": 120, "postgresql": 40}


@pytest.fixture(scope="module", params=ENGINES)
def ledger(request: pytest.FixtureRequest) -> Iterator[tuple[Ledger, int, int]]:
    """A database with one repository, which was linked: every example brings facts of its own."""
    with open_ledger(engine=request.param) as opened:
        with opened.store.write() as tx:
            repository = repository_ids(tx, opened.organization.id, ["acme/web"], NOON)["acme/web"]
            tx.execute(t.repositories.update().values(default_branch="main", imported_at=NOON))
        yield opened, repository, EXAMPLES[request.param]


def beside(run: RunFact, others: list[RunFact], reach: object) -> bool:
    return any(
        run.session_id == one.session_id is not None and abs(run.occurred_at - one.occurred_at) <= reach  # type: ignore[operator]
        for one in others
        if one.has_repository and run.has_repository
    )


def test_a_part_answers_like_the_whole(ledger: tuple[Ledger, int, int]) -> None:
    opened, repository, examples = ledger
    organization = opened.organization.id

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(worlds(), st.data())
    def holds(world: World, data: st.DataObject) -> None:
        runs, facts, decisions = world
        facts = storable(facts)
        whole = {one.run_id: one for one in link_runs(runs, facts, decisions, RULESET_V1, LATER)}
        asked = data.draw(st.lists(st.sampled_from(runs), min_size=1, max_size=2, unique=True))
        mates = [run for run in runs if run not in asked and beside(run, asked, SESSION_FILES)]
        reach = [*asked, *(run for run in mates if beside(run, asked, NEIGHBOUR))]
        decided = {one.pull_request_id for one in decisions} & {pull.id for pull in facts.pulls}
        with opened.store.write() as tx:
            store_facts(tx, organization, repository, facts)
            part = facts_around(tx, organization, repository, reach, decided)
        answers = link_runs(asked, part, decisions, RULESET_V1, LATER, mates)
        assert {one.run_id: one for one in answers} == {run.id: whole[run.id] for run in asked}

    holds()


def test_what_a_change_moves_is_marked(ledger: tuple[Ledger, int, int]) -> None:
    opened, repository, examples = ledger
    organization = opened.organization.id

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(worlds(), st.data())
    def holds(world: World, data: st.DataObject) -> None:
        runs, before, decisions = world
        before = storable(before)
        after = storable(data.draw(changes(before)))
        known = {pull.id for pull in before.pulls}
        decisions = [one for one in decisions if one.pull_request_id in known]
        first, second = (link_runs(runs, facts, decisions, RULESET_V1, LATER) for facts in (before, after))
        moved = {one.run_id for one, other in zip(first, second, strict=True) if one != other}
        with opened.store.write() as tx:
            tx.execute(t.link_marks.delete())
            store_runs(tx, organization, repository, runs)
            store_facts(tx, organization, repository, before)
            seen = watch(tx, organization, repository, told(before, after))
            store_facts(tx, organization, repository, after)
            mark_changes(tx, organization, repository, seen)
            _, marks = read_marks(tx, organization, repository)
            found = {number for _, number in marked_runs(tx, organization, repository, marks)}
        marked = [run for run in runs if run.id in found]
        assert moved <= found | {run.id for run in runs if beside(run, marked, NEIGHBOUR)}

    holds()


OPEN: dict[str, Any] = {"merged_at": None, "closed_at": None}
HELD = a_commit("c1", NOON + HOUR, files=frozenset({"a.py"}))
SPIKE = {"branches": frozenset({"spike"})}
EARLY = a_run(1, branch="spike", session_id="s1")
ANCHOR = a_run(2, NOON + HOUR, branch="feature/7", session_id="s1", person_id=None)  # B3 links it to pull request 7


def facts(*pulls: PullFact, commits: tuple[CommitFact, ...] = ()) -> RepositoryFacts:
    return RepositoryFacts("main", pulls, commits)


# What random worlds seldom hold: each needs one more look-up than the run's own names.
REACHED = {
    "an unknown branch": (EARLY, facts(a_pull(7, HELD)), "C1"),
    "a branch that a stray commit makes known": (
        EARLY,
        facts(a_pull(7, HELD), commits=(a_commit("c2", NOON - 9 * DAY, BOB, **SPIKE),)),
        "T3",
    ),
    "a branch whose only commit is a pull request's": (EARLY, facts(a_pull(7, replace(HELD, **SPIKE))), "C1"),
    "a branch whose only commit was merged": (
        EARLY,
        facts(
            a_pull(7, HELD),
            a_pull(8, merge_commit_sha="c3"),
            commits=(a_commit("c3", NOON - 9 * DAY, BOB, **SPIKE),),
        ),
        "C1",
    ),
    "a branch whose only commit is a copy": (
        EARLY,
        facts(
            a_pull(7, HELD),
            a_pull(8, a_commit("c4", NOON - 9 * DAY, BOB)),
            commits=(a_commit("c5", NOON - 9 * DAY, BOB, **SPIKE),),
        ),
        "C1",
    ),
    "a branch with a stray commit beside those of pull requests": (
        EARLY,
        facts(
            a_pull(7, HELD, merge_commit_sha="c2"),
            a_pull(8, a_commit("c4", NOON - 9 * DAY, BOB), a_commit("c1a", NOON - 9 * DAY, None, **SPIKE)),
            commits=tuple(
                a_commit(sha, NOON - days * DAY, BOB, **SPIKE) for sha, days in (("c2", 8), ("c5", 9), ("c9", 7))
            ),
        ),
        "T3",
    ),
    "a copy of a commit, by name": (
        a_run(1, NOON - 9 * DAY, commit_sha="c6", commit_is_result=True),
        facts(a_pull(7, HELD), commits=(replace(HELD, sha="c6"),)),
        "X3",
    ),
    "a copy of a commit": (
        a_run(1, NOON + 30 * MINUTE, branch="main", files=HELD.files),
        facts(a_pull(7, replace(HELD, files=frozenset())), commits=(replace(HELD, sha="c6"),)),
        "T1",
    ),
    "a merge commit": (a_run(1, commit_sha="c7", commit_is_result=True), facts(a_pull(7, merge_commit_sha="c7")), "X3"),
    "a prompt of last week": (
        a_run(1, NOON - 6 * DAY, prompt_id="p1"),
        facts(a_pull(7, replace(HELD, prompts=frozenset({"p1"})))),
        "P1",
    ),
    "an ancestor": (a_run(1, NOON + 2 * HOUR, commit_sha="c1"), facts(a_pull(7, HELD, **OPEN)), "D1"),
    "a branch used twice, just after the first end": (
        a_run(1, NOON + 90 * MINUTE, branch="feature/7"),
        facts(
            a_pull(7, HELD, merged_at=NOON + HOUR, closed_at=NOON + HOUR),
            a_pull(8, a_commit("c8", NOON + 30 * DAY), head_ref="feature/7", created_at=NOON + 30 * DAY, **OPEN),
        ),
        "B1",
    ),
    "a branch used twice, long before the second": (
        replace(EARLY, branch="feature/8"),
        facts(
            a_pull(7, HELD),
            a_pull(8, a_commit("c8", NOON + 30 * DAY), head_ref="feature/8", created_at=NOON + 30 * DAY, **OPEN),
        ),
        "T3",
    ),
}


@pytest.mark.parametrize("name", REACHED)
def test_what_a_run_reaches(ledger: tuple[Ledger, int, int], name: str) -> None:
    opened, repository, _ = ledger
    run, whole, rule = REACHED[name]
    mates = [ANCHOR] if run.session_id else []
    with opened.store.write() as tx:
        store_facts(tx, opened.organization.id, repository, whole)
        part = facts_around(tx, opened.organization.id, repository, [run, *mates])
    for known in (whole, part):
        (answer,) = link_runs([run], known, (), RULESET_V1, LATER, mates)
        assert [(one.rule, one.pull_request_id) for one in answer.links] == [(rule, 107)]


STRAY = a_commit("c2", NOON - 9 * DAY, BOB, **SPIKE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((), (STRAY,)),  # a first commit
        ((STRAY,), (replace(STRAY, branches=frozenset()),)),
        ((STRAY,), (STRAY,)),
    ],
)
@pytest.mark.parametrize("twin", [(), (a_pull(8, replace(STRAY, sha="c4", branches=frozenset())),)])
def test_a_branch_that_becomes_known_is_marked(
    ledger: tuple[Ledger, int, int],
    before: tuple[CommitFact, ...],
    after: tuple[CommitFact, ...],
    twin: tuple[PullFact, ...],
) -> None:
    opened, repository, _ = ledger
    organization = opened.organization.id
    old, new = facts(commits=before), facts(*twin, commits=after)
    with opened.store.write() as tx:
        tx.execute(t.link_marks.delete())
        store_runs(tx, organization, repository, [EARLY])
        store_facts(tx, organization, repository, old)
        seen = watch(tx, organization, repository, told(old, new))
        store_facts(tx, organization, repository, new)
        mark_changes(tx, organization, repository, seen)
        _, marks = read_marks(tx, organization, repository)
        found = marked_runs(tx, organization, repository, marks)
    was, now = bool(before), bool(after[0].branches) and not twin
    assert bool(found) is (was != now)


def told(before: RepositoryFacts, after: RepositoryFacts) -> list[PullRecord | CommitRecord]:
    """Records of what differs, as far as they are looked at before they are stored."""
    old = {pull.number: pull for pull in before.pulls}
    outside = {commit.sha: commit for commit in before.commits}
    pulls = [pull for pull in after.pulls if old.get(pull.number) != pull]
    commits = [commit for commit in after.commits if outside.get(commit.sha) != commit]

    def record(commit: object) -> CommitRecord:
        sha, branches = commit.sha, tuple(commit.branches)  # type: ignore[attr-defined]
        return CommitRecord("acme/web", sha, NOON, NOON, "", (), branches=branches)

    return [
        *(
            PullRecord(
                "acme/web", pull.number, "", NOON, (), head_ref=pull.head_ref, commits=tuple(map(record, pull.commits))
            )
            for pull in pulls
        ),
        *map(record, commits),
    ]
