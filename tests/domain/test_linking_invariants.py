"""What holds of the linker's answer for any facts, in any order."""

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.linking import RULESET_V1, link_runs, sentence, split
from costlens.domain.links import (
    LinkState,
    RepositoryFacts,
    UnlinkedReason,
)
from tests.domain.link_facts import DAY, NOON
from tests.domain.link_worlds import World, worlds


@given(worlds(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_the_facts(world: World, dice: random.Random) -> None:
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


@given(worlds())
def test_every_run_is_in_one_bucket_and_its_links_fit_it(
    world: World,
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
