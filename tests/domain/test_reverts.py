"""Reverts, reverts of reverts, and what they leave reverted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from costlens.domain.reverts import PullState, reverted

START = datetime(2026, 11, 2, tzinfo=UTC)


def hour(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def pull(number: int, body: str = "", *, merged: bool = True, head: str = "feature/x") -> PullState:
    """A pull request merged `number` hours after the start."""
    sha = f"{number:x}".rjust(40, "a")
    return PullState(number, "Change", body, head, sha if merged else None, hour(number) if merged else None)


def sha(number: int) -> str:
    return f"{number:x}".rjust(40, "a")


def test_a_revert_by_number() -> None:
    assert reverted([pull(1), pull(2, "Reverts acme/web#1")], repository="acme/web") == {1: hour(2)}


def test_other_ways_to_name_it() -> None:
    assert reverted([pull(1), pull(2, "Reverts #1")]) == {1: hour(2)}
    assert reverted([pull(1), pull(2, f"This reverts commit {sha(1)}.")]) == {1: hour(2)}
    assert reverted([pull(1), pull(2, head="revert-1-feature")]) == {1: hour(2)}
    assert reverted([pull(11), pull(12, f"This reverts commit {sha(11)[:40]}")]) == {11: hour(12)}


def test_a_shortened_sha() -> None:
    one = PullState(1, "Change", "", "x", "abcdef0123456789" + "0" * 24, hour(1))
    assert reverted([one, pull(2, "This reverts commit abcdef0.")]) == {1: hour(2)}


def test_a_commit_outside_pull_requests_reverts() -> None:
    found = reverted([pull(1)], [("f" * 40, f'Revert "Change"\n\nThis reverts commit {sha(1)}.', hour(9))])
    assert found == {1: hour(9)}


def test_what_is_not_merged_reverts_nothing_and_is_not_reverted() -> None:
    assert reverted([pull(1), pull(2, "Reverts #1", merged=False)]) == {}
    assert reverted([pull(1, merged=False), pull(2, "Reverts #1")]) == {}


def test_a_revert_in_another_repository_is_not_ours() -> None:
    assert reverted([pull(1), pull(2, "Reverts acme/api#1")], repository="acme/web") == {}


def test_a_pull_request_that_names_itself_reverts_nothing() -> None:
    assert reverted([pull(1, "Reverts #1")]) == {}


def test_a_revert_of_a_revert_puts_back() -> None:
    assert reverted([pull(1), pull(2, "Reverts #1"), pull(3, "Reverts #2")]) == {}


def test_every_further_revert_toggles() -> None:
    chain = [pull(1), *(pull(n, f"Reverts #{n - 1}") for n in range(2, 8))]
    for length in range(1, 8):
        expected = {1: hour(length)} if length % 2 == 0 else {}
        assert reverted(chain[:length]) == expected, length


def test_a_chain_by_sha_and_by_commit() -> None:
    again = ("e" * 40, f"Reapply\n\nThis reverts commit {sha(2)[:40]}.", hour(5))
    last = ("d" * 40, "Revert again\n\nThis reverts commit eeeeeee.", hour(6))
    pulls = [pull(1), pull(2, "Reverts #1")]
    assert reverted(pulls, [again]) == {}
    assert reverted(pulls, [again, last]) == {1: hour(6)}


def test_a_revert_of_several_comes_back_whole() -> None:
    both = pull(3, "Reverts #1\nReverts #2")
    assert reverted([pull(1), pull(2), both]) == {1: hour(3), 2: hour(3)}
    assert reverted([pull(1), pull(2), both, pull(4, "Reverts #3")]) == {}


def test_the_squash_of_a_revert_tells_the_same_once_more() -> None:
    squash = (sha(2), f"Revert\n\nThis reverts commit {sha(1)}.", hour(2))
    assert reverted([pull(1), pull(2, "Reverts #1")], [squash]) == {1: hour(2)}
    back = (sha(3), f"Reapply\n\nThis reverts commit {sha(2)}.", hour(3))
    assert reverted([pull(1), pull(2, "Reverts #1"), pull(3, "Reverts #2")], [squash, back]) == {}


def test_reverted_again_after_it_was_made_anew() -> None:
    assert reverted([pull(1), pull(2, "Reverts #1"), pull(3, "Reverts #2"), pull(4, "Reverts #1")]) == {1: hour(4)}


def test_the_order_in_which_they_come_does_not_matter() -> None:
    pulls = [pull(1), pull(2, "Reverts #1"), pull(3, "Reverts #2"), pull(4, "Reverts #3")]
    assert reverted(pulls) == reverted(pulls[::-1]) == {1: hour(4)}
