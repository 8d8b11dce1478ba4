"""What holds of the linker's answer for any facts, in any order."""

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.linking import RULESET_V1, link_runs, sentence, split
from costlens.domain.links import (
    CommitFact,
    LinkState,
    ManualDecision,
    RepositoryFacts,
    RunFact,
    UnlinkedReason,
)
from tests.domain.link_facts import ALICE, BOB, DAY, HOUR, NOON, a_pull, a_run

# Few values for each field, so that random facts meet each other often.
_moments = st.integers(-48, 48).map(lambda hours: NOON + hours * HOUR)
_people = st.sampled_from((ALICE, BOB, None))
_files = st.frozensets(st.sampled_from(("a.py", "b.py", "c.py")), max_size=2)
_names = st.sampled_from(("main", "x", "y"))
_sessions = st.frozensets(st.sampled_from(("s1", "s2")), max_size=1)
_shas = st.sampled_from([f"c{n}" for n in range(6)])


@st.composite
def _commits(draw: st.DrawFn) -> CommitFact:
    at = draw(_moments)
    branches = draw(st.frozensets(_names, max_size=1))
    keys = draw(st.frozensets(st.sampled_from(("run_1", "run_2")), max_size=1))
    prompts = draw(st.frozensets(st.sampled_from(("p1", "p2")), max_size=1))
    return CommitFact(draw(_shas), draw(_people), at, at, draw(_files), branches, keys, draw(_sessions), prompts)


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[list[RunFact], RepositoryFacts, list[ManualDecision]]:
    runs = [
        a_run(
            number,
            draw(_moments),
            person_id=draw(_people),
            branch=draw(_names),
            session_id=draw(st.sampled_from(("s1", "s2", None))),
            commit_sha=draw(st.none() | _shas),
            commit_is_result=draw(st.booleans()),
            pr_number=draw(st.sampled_from((None, None, 1, 2, 9))),
            files=draw(_files),
            prompt_id=draw(st.sampled_from(("p1", "p2", None))),
            has_repository=draw(st.booleans()),
            code=draw(st.integers(0, 5)) > 0,
        )
        for number in range(1, draw(st.integers(1, 8)) + 1)
    ]
    pulls = []
    for number in range(1, draw(st.integers(0, 3)) + 1):
        merged = draw(st.none() | _moments)
        own = tuple(draw(st.lists(_commits(), max_size=3, unique_by=lambda commit: commit.sha)))
        pulls.append(
            replace(
                a_pull(number, head_ref=draw(_names), merged_at=merged, closed_at=merged, person_id=draw(_people)),
                commits=own,
                sessions=draw(_sessions),
                merge_commit_sha=draw(st.none() | _shas),
            )
        )
    outside = tuple(draw(st.lists(_commits(), max_size=4, unique_by=lambda commit: commit.sha)))
    decisions = draw(
        st.lists(
            st.builds(ManualDecision, st.integers(1, 8), st.integers(101, 103), st.booleans(), st.just("alice")),
            max_size=2,
            unique_by=lambda decision: (decision.run_id, decision.pull_request_id),
        )
    )
    return runs, RepositoryFacts("main", tuple(pulls), outside), decisions


@given(_worlds(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_facts(
    world: tuple[list[RunFact], RepositoryFacts, list[ManualDecision]], dice: random.Random
) -> None:
    runs, facts, decisions = world

    def shuffled(items: list[Any]) -> list[Any]:
        return dice.sample(items, len(items))

    mixed = RepositoryFacts(
        "main",
        tuple(replace(pull, commits=tuple(shuffled(list(pull.commits)))) for pull in shuffled(list(facts.pulls))),
        tuple(shuffled(list(facts.commits))),
    )
    now = NOON + 29 * DAY
    expected = link_runs(runs, facts, decisions, RULESET_V1, now)
    assert link_runs(shuffled(runs), mixed, shuffled(decisions), RULESET_V1, now) == expected


@given(_worlds())
def test_every_run_is_in_one_bucket_and_its_links_fit_it(
    world: tuple[list[RunFact], RepositoryFacts, list[ManualDecision]],
) -> None:
    runs, facts, decisions = world
    answers = link_runs(runs, facts, decisions, RULESET_V1, NOON + 29 * DAY)
    assert [answer.run_id for answer in answers] == [run.id for run in runs]
    for run, answer in zip(runs, answers, strict=True):
        assert (answer.reason is not None) is (answer.state is LinkState.UNLINKED)
        assert (answer.state is LinkState.NOT_CODE) is (not run.code)
        assert all(one.state is answer.state for one in answer.links)
        assert bool(answer.links) is (
            answer.state in (LinkState.COUNTED, LinkState.SUGGESTED) or answer.reason is UnlinkedReason.REJECTED
        )
        pulls = [one.pull_request_id for one in answer.links if one.pull_request_id]
        assert len(set(pulls)) == len(pulls)
        if len(answer.links) > 1:
            assert {one.rule for one in answer.links} <= {"M1", "X1", "X2", "X3"}
        if answer.state is LinkState.COUNTED:
            assert sum(split(1_000_003, len(answer.links))) == 1_000_003
            assert all(one.confidence >= RULESET_V1.threshold for one in answer.links)
            no = {d.pull_request_id for d in decisions if d.run_id == run.id and not d.confirmed}
            assert not no & set(pulls)
        for one in answer.links:
            assert json.loads(json.dumps(one.evidence)) == one.evidence
            assert f"({one.rule}, " in sentence(one.evidence)
