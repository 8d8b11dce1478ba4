"""Each rule on the smallest facts that show it, the order among rules, and what holds for any facts."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens.domain.linking import RULESET_V1, link_runs, sentence, split
from costlens.domain.links import (
    CommitFact,
    LinkState,
    ManualDecision,
    PullFact,
    RepositoryFacts,
    Ruleset,
    RunFact,
    RunLinks,
    UnlinkedReason,
)

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


def link(
    *runs: RunFact,
    pulls: tuple[PullFact, ...] = (),
    commits: tuple[CommitFact, ...] = (),
    decisions: tuple[ManualDecision, ...] = (),
    now: datetime = NOON + 60 * DAY,
    ruleset: Ruleset = RULESET_V1,
) -> tuple[RunLinks, ...]:
    return link_runs(runs, RepositoryFacts("main", pulls, commits), decisions, ruleset, now)


def found(answer: RunLinks) -> tuple[str, tuple[tuple[str, int | None], ...]]:
    return answer.state.value, tuple((one.rule, one.pull_request_id) for one in answer.links)


def test_same_branch_and_author_is_counted() -> None:
    (answer,) = link(a_run(branch="feature/7"), pulls=(a_pull(),))
    assert found(answer) == ("counted", (("B1", 107),))
    (one,) = answer.links
    assert one.confidence == 900
    assert one.evidence == {
        "rule": "B1",
        "ruleset": 1,
        "confidence": 900,
        "runField": "branch",
        "targetField": "headRef",
        "matched": "feature/7",
        "deltaSeconds": 18 * 60,
        "person": ALICE,
        "sha": "sha-of-7",
    }
    assert sentence(one.evidence) == "same branch `feature/7`, same author, 18 minutes before the commit (B1, 0.90)"


@pytest.mark.parametrize(
    ("at", "counted"),
    [
        (NOON + 18 * MINUTE - 7 * DAY, True),
        (NOON + 18 * MINUTE - 7 * DAY - MINUTE, False),
        (NOON + DAY + HOUR, True),
        (NOON + DAY + HOUR + MINUTE, False),
    ],
)
def test_the_branch_window_ends_a_week_before_the_first_commit_and_an_hour_after_the_merge(
    at: datetime, counted: bool
) -> None:
    (answer,) = link(a_run(at=at, branch="feature/7"), pulls=(a_pull(),))
    assert (answer.state is LinkState.COUNTED) is counted


def test_an_open_pull_request_has_no_upper_bound() -> None:
    pull = a_pull(merged_at=None, closed_at=None)
    assert link(a_run(at=NOON + 20 * DAY, branch="feature/7"), pulls=(pull,))[0].state is LinkState.COUNTED


def test_a_closed_one_takes_runs_until_an_hour_after_the_close() -> None:
    pull = a_pull(merged_at=None, closed_at=NOON + 2 * HOUR)
    runs = (a_run(1, NOON + 3 * HOUR, branch="feature/7"), a_run(2, NOON + 4 * HOUR, branch="feature/7"))
    assert [answer.state.value for answer in link(*runs, pulls=(pull,))] == ["counted", "unlinked"]


def test_a_default_branch_is_no_evidence_even_as_a_head() -> None:
    pull = a_pull(head_ref="main")
    assert link(a_run(branch="main"), pulls=(replace(pull, commits=(a_commit(at=NOON - HOUR),)),))[0].links == ()


def test_the_branch_goes_elsewhere_when_the_author_has_moved_on() -> None:
    first = a_pull(7, a_commit("c1", NOON - HOUR))
    other = a_pull(8, a_commit("c2", NOON + HOUR))
    (answer,) = link(a_run(branch="feature/7"), pulls=(first, other))
    assert found(answer) == ("suggested", (("T3", 108),))
    # More than a day until the next commit says nothing, nor does an amended commit that came after the run.
    later = a_pull(8, a_commit("c2", NOON + 2 * DAY))
    assert found(link(a_run(branch="feature/7"), pulls=(first, later))[0]) == ("counted", (("B1", 107),))
    amended = a_pull(7, a_commit("c1", NOON - HOUR, committed_at=NOON + MINUTE))
    assert found(link(a_run(branch="feature/7"), pulls=(amended, other))[0]) == ("counted", (("B1", 107),))


def test_an_unknown_person_on_the_branch_counts_a_little_less() -> None:
    (answer,) = link(a_run(branch="feature/7", person_id=None), pulls=(a_pull(),))
    assert found(answer) == ("counted", (("B3", 107),))
    assert answer.links[0].confidence == 850


def test_another_known_person_on_the_branch_is_rejected_with_its_evidence() -> None:
    (answer,) = link(a_run(branch="feature/7", person_id=BOB), pulls=(a_pull(),))
    assert (answer.state, answer.reason) == (LinkState.UNLINKED, UnlinkedReason.REJECTED)
    assert [(one.rule, one.state) for one in answer.links] == [("B2", LinkState.UNLINKED)]
    assert sentence(answer.links[0].evidence).startswith("same branch `feature/7`, but the work of another person, 18 ")


def test_an_author_that_nobody_knows_may_be_the_person() -> None:
    pull = a_pull(7, a_commit(person=None))
    assert link(a_run(branch="feature/7"), pulls=(pull,))[0].reason is UnlinkedReason.NO_CANDIDATE


def test_the_pull_request_author_stands_in_where_commits_are_unknown() -> None:
    pull = replace(a_pull(), commits=())
    assert found(link(a_run(branch="feature/7"), pulls=(pull,))[0]) == ("counted", (("B1", 107),))


def test_a_reused_branch_goes_to_the_nearer_commit() -> None:
    pulls = (
        a_pull(7, a_commit("c1", NOON - 3 * DAY), a_commit("c2", NOON + 5 * HOUR)),
        a_pull(8, a_commit("c3", NOON + HOUR), head_ref="feature/7"),
    )
    assert found(link(a_run(branch="feature/7"), pulls=pulls)[0]) == ("counted", (("B1", 108),))


def test_run_ids_in_trailers_and_bodies_are_certain_and_split() -> None:
    pulls = (
        a_pull(7, a_commit("c1", run_keys=frozenset({"run_1"}))),
        a_pull(8, run_keys=frozenset({"run_1", "run_2"})),
        a_pull(9, head_ref="other"),
    )
    first, second = link(a_run(1, branch="other"), a_run(2, branch="other"), pulls=pulls)
    assert found(first) == ("counted", (("X1", 107), ("X1", 108)))
    assert found(second) == ("counted", (("X1", 108),))
    assert sentence(second.links[0].evidence) == "run id `run_2` in the pull request body (X1, 1.00)"


def test_a_pull_request_number_is_certain() -> None:
    (answer,) = link(a_run(pr_number=8, branch="feature/7"), pulls=(a_pull(7), a_pull(8)))
    assert found(answer) == ("counted", (("X2", 108),))
    assert sentence(answer.links[0].evidence) == "the run names pull request #8 (X2, 1.00)"


def test_a_number_that_is_not_known_yet_is_never_replaced_by_a_guess() -> None:
    (answer,) = link(a_run(pr_number=99, branch="feature/7"), pulls=(a_pull(7),), now=NOON + DAY)
    assert (answer.state, answer.links) == (LinkState.PENDING, ())


def test_a_result_commit_is_certain_and_a_commit_before_is_not() -> None:
    pulls = (a_pull(7, a_commit("c1")), a_pull(8, a_commit("c1")), a_pull(9, a_commit("c9"), merge_commit_sha="m9"))
    in_two, merge, before = link(
        a_run(1, commit_sha="c1", commit_is_result=True),
        a_run(2, commit_sha="m9", commit_is_result=True),
        a_run(3, commit_sha="c1", person_id=BOB),
        pulls=pulls,
    )
    assert found(in_two) == ("counted", (("X3", 107), ("X3", 108)))
    assert found(merge) == ("counted", (("X3", 109),))
    assert before.links == ()


def test_a_result_commit_outside_pull_requests_is_linked_by_itself() -> None:
    (answer,) = link(a_run(commit_sha="d1", commit_is_result=True), commits=(a_commit("d1"),))
    assert found(answer) == ("counted", (("X3", None),))
    assert answer.links[0].commit_sha == "d1"


def test_a_rewritten_copy_outside_belongs_to_the_pull_request() -> None:
    at = NOON + 18 * MINUTE
    copy = a_commit("copy", at, committed_at=at + DAY)
    (answer,) = link(
        a_run(commit_sha="copy", commit_is_result=True), pulls=(a_pull(7, a_commit("c1", at)),), commits=(copy,)
    )
    assert found(answer) == ("counted", (("X3", 107),))


def test_an_unknown_result_commit_leaves_the_branch_but_no_weaker_guess() -> None:
    rewritten = a_run(1, branch="feature/7", commit_sha="gone", commit_is_result=True)
    on_main = a_run(2, branch="main", commit_sha="gone", commit_is_result=True, files=frozenset({"a.py"}))
    pulls = (a_pull(7, a_commit(files=frozenset({"a.py"}))),)
    assert [found(one)[0] for one in link(rewritten, on_main, pulls=pulls)] == ["counted", "unlinked"]


def test_a_session_trailer_takes_the_first_commit_after_the_run() -> None:
    session = frozenset({"s1"})
    pulls = (
        a_pull(7, a_commit("c1", NOON, sessions=session)),
        a_pull(8, a_commit("c2", NOON + HOUR, sessions=session)),
    )
    answers = link(
        a_run(1, NOON + 5 * MINUTE, session_id="s1"),
        a_run(2, NOON + 6 * MINUTE, session_id="s1"),
        a_run(3, NOON + 2 * HOUR, session_id="s1", person_id=None),
        pulls=pulls,
    )
    assert [found(answer)[1] for answer in answers[:2]] == [(("S1", 107),), (("S1", 108),)]
    assert answers[2].links[0].rule == "C1"
    assert sentence(answers[1].links[0].evidence) == (
        "session `s1` in the commit trailer, 54 minutes before the commit (S1, 0.98)"
    )


def test_a_session_in_a_body_is_read_where_no_commit_names_it() -> None:
    pull = a_pull(7, sessions=frozenset({"s1"}))
    assert found(link(a_run(session_id="s1"), pulls=(pull,))[0]) == ("counted", (("S1", 107),))
    assert link(a_run(session_id="s1", at=NOON + 3 * DAY), pulls=(pull,))[0].links == ()


def test_a_neighbour_in_the_session_lends_its_link() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON + 2 * DAY), merged_at=None, closed_at=None),)
    near, anchor, far, foreign = link(
        a_run(1, NOON - 4 * HOUR, session_id="s1", branch="main"),
        a_run(2, NOON, session_id="s1", branch="feature/7"),
        a_run(3, NOON - 4 * HOUR - MINUTE, session_id="s1", branch="main"),
        a_run(4, NOON, session_id="s2", branch="main"),
        pulls=pulls,
    )
    assert found(near) == ("counted", (("C1", 107),))
    assert found(anchor) == ("counted", (("B1", 107),))
    assert far.links == ()
    assert foreign.links == ()
    assert sentence(near.links[0].evidence) == "neighbour in session `s1`, 4 hours before the linked run (C1, 0.85)"


def test_on_an_unknown_branch_only_a_later_neighbour_counts() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON + 2 * DAY), merged_at=None, closed_at=None),)
    outside = a_commit("d1", NOON - DAY, person=BOB, branches=frozenset({"spike"}))
    before, _, after, known = link(
        a_run(1, NOON - HOUR, session_id="s1", branch="early-name"),
        a_run(2, NOON, session_id="s1", branch="feature/7"),
        a_run(3, NOON + HOUR, session_id="s1", branch="early-name"),
        a_run(4, NOON - HOUR, session_id="s1", branch="spike"),
        pulls=pulls,
        commits=(outside,),
    )
    assert found(before) == ("counted", (("C1", 107),))
    assert after.links == ()
    assert known.links == ()


def test_the_next_commit_with_the_same_files_counts_on_the_default_branch() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON + HOUR, files=frozenset({"a.py", "b.py"}))),)
    own, by_session, _, no_overlap, other_person, branch = link(
        a_run(1, branch="main", files=frozenset({"a.py"})),
        a_run(2, branch="main", session_id="s1"),
        a_run(3, NOON - 6 * HOUR, session_id="s1", branch="main", files=frozenset({"a.py", "b.py"})),
        a_run(4, branch="main", files=frozenset({"z.py"})),
        a_run(5, branch="main", files=frozenset({"a.py"}), person_id=BOB),
        a_run(6, branch="elsewhere", files=frozenset({"a.py"})),
        pulls=pulls,
    )
    assert found(own) == ("counted", (("T1", 107),))
    assert found(by_session) == ("counted", (("T1", 107),))
    assert found(no_overlap) == ("suggested", (("T3", 107),))
    assert other_person.links == ()
    assert found(branch) == ("suggested", (("T2", 107),))
    assert sentence(by_session.links[0].evidence) == (
        "the next commit of the same person changes the same files, `a.py` and 1 more, 60 minutes before the commit "
        "(T1, 0.80)"
    )


def test_the_next_commit_weakens_with_time() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON, files=frozenset({"a.py"}))),)
    lags = (2 * HOUR, 2 * HOUR + MINUTE, DAY, DAY + MINUTE)
    runs = [a_run(n, NOON - lag, branch="main", files=frozenset({"a.py"})) for n, lag in enumerate(lags)]
    assert [[one.rule for one in answer.links] for answer in link(*runs, pulls=pulls)] == [["T1"], ["T2"], ["T2"], []]


def test_a_next_commit_outside_keeps_the_run_from_pull_requests() -> None:
    files = frozenset({"a.py"})
    pulls = (a_pull(7, a_commit("c1", NOON + HOUR, files=files)),)
    (answer,) = link(
        a_run(branch="main", files=files), pulls=pulls, commits=(a_commit("d1", NOON + MINUTE, files=files),)
    )
    assert [(one.pull_request_id, one.commit_sha) for one in answer.links] == [(None, "d1")]
    assert answer.state is LinkState.COUNTED


def test_pressing_the_merge_button_is_not_work() -> None:
    files = frozenset({"a.py"})
    of_bob = a_pull(7, a_commit("c1", NOON - HOUR, BOB, files=files), merge_commit_sha="m7")
    merge = a_commit("m7", NOON + MINUTE, files=files)
    assert link(a_run(branch="main", files=files), pulls=(of_bob,), commits=(merge,))[0].links == ()


def test_a_commit_before_suggests_the_one_open_pull_request_that_holds_it() -> None:
    opened = a_pull(7, a_commit("c1", NOON - HOUR), merged_at=None, closed_at=None)
    run = a_run(commit_sha="c1", branch="detached")
    assert found(link(run, pulls=(opened,))[0]) == ("suggested", (("D1", 107),))
    stacked = a_pull(8, a_commit("c1", NOON - HOUR), merged_at=None, closed_at=None)
    assert link(run, pulls=(opened, stacked))[0].links == ()


def test_a_confirmed_link_wins_over_every_rule() -> None:
    decisions = (ManualDecision(1, 108, True, "alice@example.com"),)
    (answer,) = link(a_run(pr_number=7), pulls=(a_pull(7), a_pull(8)), decisions=decisions)
    assert found(answer) == ("counted", (("M1", 108),))
    assert sentence(answer.links[0].evidence) == "confirmed by alice@example.com (M1, 1.00)"


def test_two_confirmed_links_share_the_run() -> None:
    decisions = tuple(ManualDecision(1, pull, True, "alice@example.com") for pull in (108, 107))
    (answer,) = link(a_run(), pulls=(a_pull(7), a_pull(8)), decisions=decisions)
    assert found(answer) == ("counted", (("M1", 107), ("M1", 108)))


def test_a_rejected_pull_request_is_never_a_candidate_again() -> None:
    rejected = (ManualDecision(1, 107, False, "bob@example.com"),)
    (alone,) = link(a_run(branch="feature/7"), pulls=(a_pull(),), decisions=rejected, now=NOON)
    assert (alone.state, alone.reason) == (LinkState.UNLINKED, UnlinkedReason.REJECTED)
    assert sentence(alone.links[0].evidence) == (
        "rejected by bob@example.com, same branch `feature/7`, same author, 18 minutes before the commit (B1, 0.90)"
    )
    reused = a_pull(8, head_ref="feature/7")
    (next_best,) = link(a_run(branch="feature/7"), pulls=(a_pull(), reused), decisions=rejected)
    assert found(next_best) == ("counted", (("B1", 108),))


def test_decisions_of_other_repositories_are_ignored() -> None:
    decisions = (ManualDecision(1, 999, True, "alice@example.com"),)
    assert link(a_run(), pulls=(a_pull(),), decisions=decisions)[0].links != ()
    assert found(link(a_run(branch="feature/7"), pulls=(a_pull(),), decisions=decisions)[0])[0] == "counted"


def test_production_traffic_is_never_linked() -> None:
    (answer,) = link(a_run(code=False, pr_number=7), pulls=(a_pull(),))
    assert (answer.state, answer.links) == (LinkState.NOT_CODE, ())


def test_without_a_repository_only_trailers_link() -> None:
    pulls = (a_pull(7, a_commit(sessions=frozenset({"s1"}))), a_pull(8, run_keys=frozenset({"run_3"})))
    rest = {"has_repository": False, "branch": "feature/7"}
    by_branch, by_session, by_key = link(
        a_run(1, pr_number=7, commit_sha="c1", commit_is_result=True, **rest),
        a_run(2, session_id="s1", **rest),
        a_run(3, **rest),
        pulls=pulls,
        now=NOON,
    )
    assert (by_branch.state, by_branch.reason) == (LinkState.UNLINKED, UnlinkedReason.NO_REPO)
    assert found(by_session) == ("counted", (("S1", 107),))
    assert found(by_key) == ("counted", (("X1", 108),))


def test_a_run_waits_thirty_days_for_its_candidate() -> None:
    runs = (a_run(1), a_run(2, person_id=None))
    young = link(*runs, now=NOON + 30 * DAY - MINUTE)
    old = link(*runs, now=NOON + 30 * DAY)
    assert [answer.state for answer in young] == [LinkState.PENDING] * 2
    assert [answer.reason for answer in old] == [UnlinkedReason.NO_CANDIDATE, UnlinkedReason.NO_PERSON]


def test_a_higher_threshold_makes_links_suggestions() -> None:
    strict = replace(RULESET_V1, threshold=950)
    assert found(link(a_run(branch="feature/7"), pulls=(a_pull(),), ruleset=strict)[0])[0] == "suggested"


def test_split_is_equal_and_exact() -> None:
    assert split(10, 3) == (4, 3, 3)
    assert split(0, 2) == (0, 0)
    with pytest.raises(ValueError, match="at least 1"):
        split(1, 0)


@given(st.integers(0, 10**15), st.integers(1, 50))
def test_split_loses_nothing(cost: int, parts: int) -> None:
    shares = split(cost, parts)
    assert sum(shares) == cost
    assert max(shares) - min(shares) <= 1


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
    return CommitFact(draw(_shas), draw(_people), at, at, draw(_files), branches, keys, draw(_sessions))


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
