"""Tests of rules on runs whose pull request is known, and what they speak for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costlens.domain.calibration import Tally, add_tests, hidden_facts, hidden_runs, proposal
from costlens.domain.errors import InvalidInput
from costlens.domain.linking import RULESET_V1, link_runs
from costlens.domain.links import LinkState, RepositoryFacts, Stance
from costlens.domain.rulesets import FIXED, MEANINGS, make_ruleset
from tests.domain.link_facts import HOUR, MINUTE, NOON, a_commit, a_pull, a_run


@pytest.mark.parametrize(
    ("tally", "low", "high"),
    [
        (Tally(10, 5), 0.2366, 0.7634),  # as statistics packages give them
        (Tally(100, 81), 0.7222, 0.8749),
        (Tally(50, 50), 0.9287, 1.0),
        (Tally(50, 0), 0.0, 0.0713),
        (Tally(), 0.0, 1.0),
    ],
)
def test_the_interval_is_wilsons(tally: Tally, low: float, high: float) -> None:
    assert tally.interval == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_is_proposed_unless_it_is_sure() -> None:
    assert proposal("B1", Tally(50, 30), RULESET_V1) is Stance.SUGGESTED
    assert proposal("B1", Tally(49, 0), RULESET_V1) is None  # too few
    assert proposal("B1", Tally(100, 75), RULESET_V1) is None  # the threshold lies within
    assert proposal("B1", Tally(100, 95), RULESET_V1) is None  # it counts already
    assert proposal("T2", Tally(100, 95), RULESET_V1) is Stance.COUNTED
    assert proposal("T2", Tally(100, 80), RULESET_V1) is None
    off = make_ruleset(2, 800, {"B1": "off"})
    assert proposal("B1", Tally(100, 95), off) is Stance.COUNTED


def test_what_is_hidden_leaves_what_the_rules_look_at() -> None:
    commit = a_commit(run_keys=frozenset({"run_1"}), sessions=frozenset({"s1"}), attested=frozenset({"s1"}))
    pull = a_pull(7, commit, run_keys=frozenset({"run_1"}), sessions=frozenset({"s1"}))
    run = a_run(branch="feature/7", session_id="s1", pr_number=7, commit_sha="c1", commit_is_result=True)
    facts = RepositoryFacts("main", (pull,), (replace(commit, sha="c2"),))
    (answer,) = link_runs(hidden_runs([run]), hidden_facts(facts), (), RULESET_V1, NOON)
    assert [link.rule for link in answer.links] == ["B1"]
    (kept,) = hidden_runs([replace(run, commit_is_result=False)])
    assert kept.commit_sha == "c1"  # where it started from is no answer


def test_only_runs_with_a_known_answer_are_tests() -> None:
    tallies = {"B1": Tally()}
    guesses = [(1, "B1", (7, None)), (2, "B1", (7, None)), (3, "T2", (None, "c1")), (4, "B1", (7, None))]
    add_tests(tallies, guesses, {1: [(7, None), (8, None)], 2: [(8, None)], 3: [(None, "c1")]})
    assert tallies == {"B1": Tally(2, 1), "T2": Tally(1, 1)}


def test_stances_decide_over_the_threshold() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON + MINUTE, files=frozenset({"a.py"}))),)
    run = a_run(branch="feature/7", session_id="s1")
    beside = a_run(2, NOON + MINUTE, branch="main", session_id="s1", files=frozenset({"a.py"}))

    def rules(**stances: str) -> list[tuple[str, list[str]]]:
        ruleset = make_ruleset(2, 800, stances)
        answers = link_runs([run, beside], RepositoryFacts("main", pulls, ()), (), ruleset, NOON + HOUR)
        return [(str(answer.state), [link.rule for link in answer.links]) for answer in answers]

    assert rules() == [("counted", ["B1"]), ("counted", ["C1"])]
    # What only suggests anchors no neighbour, and gives way to what counts.
    assert rules(B1="suggested") == [("suggested", ["B1"]), ("counted", ["T1"])]
    assert rules(C1="off") == [("counted", ["B1"]), ("counted", ["T1"])]
    assert rules(B1="off", T1="off", T2="off", T3="off") == [("pending", []), ("pending", [])]


@pytest.mark.parametrize(
    ("threshold", "stances"),
    [(499, {}), (1001, {}), (800, {"X1": "off"}), (800, {"Z9": "off"}), (800, {"B1": "maybe"}), (800, {"B1": ""})],
)
def test_what_cannot_be_set(threshold: int, stances: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        make_ruleset(2, threshold, stances)


def test_every_rule_has_a_sentence() -> None:
    assert {*MEANINGS} == {*RULESET_V1.confidence}
    assert all(RULESET_V1.counts(rule) for rule in FIXED if rule != "B2")
    assert LinkState.COUNTED == Stance.COUNTED  # one word for both
