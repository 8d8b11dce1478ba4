"""Each rule on the smallest facts that show it, the order among rules, and the buckets."""

from dataclasses import replace
from datetime import datetime

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
from tests.domain.link_facts import ALICE, BOB, DAY, HOUR, MINUTE, NOON, a_commit, a_pull, a_run


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


def test_a_trailer_with_the_prompt_counts_for_its_author() -> None:
    prompts = frozenset({"review-v2"})
    pulls = (
        a_pull(7, a_commit("c1", NOON + 3 * DAY, prompts=prompts)),
        a_pull(8, a_commit("c2", NOON + 4 * DAY, prompts=prompts)),
    )
    own, later, other_prompt, other_person, unknown_person, no_prompt = link(
        a_run(1, prompt_id="review-v2"),
        a_run(2, NOON + 3 * DAY + MINUTE, prompt_id="review-v2"),
        a_run(3, prompt_id="review-v1"),
        a_run(4, prompt_id="review-v2", person_id=BOB),
        a_run(5, prompt_id="review-v2", person_id=None),
        a_run(6),
        pulls=pulls,
    )
    assert found(own) == ("counted", (("P1", 107),))
    assert found(later) == ("counted", (("P1", 108),))
    for answer in (other_prompt, other_person, unknown_person, no_prompt):
        assert answer.links == ()
    assert sentence(own.links[0].evidence) == (
        "prompt `review-v2` in the commit trailer, same author, 3 days before the commit (P1, 0.80)"
    )


def test_a_trailer_with_the_prompt_holds_for_a_week() -> None:
    pulls = (a_pull(7, a_commit("c1", NOON, prompts=frozenset({"p1"}))),)
    times = (NOON, NOON - 7 * DAY, NOON - 7 * DAY - MINUTE, NOON + MINUTE)
    runs = [a_run(number, at, prompt_id="p1", branch="elsewhere") for number, at in enumerate(times)]
    assert [[one.rule for one in answer.links] for answer in link(*runs, pulls=pulls)] == [["P1"], ["P1"], [], []]


def test_the_branch_outranks_the_prompt_and_the_prompt_outranks_a_guess() -> None:
    pulls = (
        a_pull(7, a_commit("c1", NOON + HOUR, files=frozenset({"a.py"}))),
        a_pull(8, a_commit("c2", NOON + 2 * HOUR, prompts=frozenset({"p1"}))),
    )
    by_branch, by_files, by_prompt = link(
        a_run(1, prompt_id="p1", branch="feature/7"),
        a_run(2, prompt_id="p1", branch="main", files=frozenset({"a.py"})),
        a_run(3, prompt_id="p1", branch="main", files=frozenset({"z.py"})),
        pulls=pulls,
    )
    assert found(by_branch) == ("counted", (("B1", 107),))
    assert found(by_files) == ("counted", (("T1", 107),))
    assert found(by_prompt) == ("counted", (("P1", 108),))


def test_a_prompt_may_name_a_commit_outside() -> None:
    outside = a_commit("d1", NOON + HOUR, prompts=frozenset({"p1"}))
    (answer,) = link(a_run(prompt_id="p1"), commits=(outside,))
    assert [(one.pull_request_id, one.commit_sha, one.rule) for one in answer.links] == [(None, "d1", "P1")]


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
