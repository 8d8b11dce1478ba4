"""The matched comparison on histories whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from costlens.domain.comparison import (
    METRICS,
    Compared,
    Effect,
    comparable,
    judge,
    match,
    reverted_early,
    sentence,
)

START = datetime(2026, 1, 5, tzinfo=UTC)
TRUTH = 0.8  # AI takes a fifth off the cycle time of the same person's like work


def history(seed: int, *, authors: int = 30, truth: float = TRUTH) -> list[Compared]:
    """A year of work in which slow authors and large changes take to AI most: the naive ratio points the wrong way."""
    random = Random(seed)
    pulls = []
    for author in range(authors):
        slow = random.gauss(0, 0.8)
        taste = 1 / (1 + math.exp(-1.5 * slow))
        own = math.log(truth) + random.gauss(0, 0.15)  # the effect differs from person to person
        for number in range(40):
            lines = random.choice((5, 30, 120, 600))
            assisted = random.random() < min(0.95, taste * (0.6 + 0.2 * math.log10(lines)))
            hours = 8 * math.exp(slow + 0.35 * math.log10(lines) + random.gauss(0, 0.5) + own * assisted)
            merged = START + timedelta(days=random.randrange(360))
            pulls.append(Compared(author, number % 2, assisted, lines, merged, cycle_hours=hours))
    return pulls


def test_a_known_effect_is_found_where_the_naive_ratio_is_wrong() -> None:
    covered = wrong = 0
    for seed in range(100):
        found = judge(match(history(seed), METRICS["cycle"]), draws=400)
        assert found.low is not None
        assert found.high is not None
        assert found.naive is not None
        covered += found.low <= TRUTH <= found.high
        wrong += found.naive > 1  # "AI makes it slower"
    assert covered >= 90
    assert wrong >= 95


def test_no_effect_is_inconclusive_most_of_the_time() -> None:
    verdicts = [judge(match(history(seed, truth=1.0), METRICS["cycle"]), draws=400).verdict for seed in range(40)]
    assert verdicts.count("inconclusive") >= 34


def test_the_same_seed_gives_the_same_interval() -> None:
    matched = match(history(3), METRICS["cycle"])
    assert judge(matched) == judge(match(reversed(history(3)), METRICS["cycle"]))
    assert judge(matched, seed=1) != judge(matched, seed=2)
    assert judge(matched).verdict == "lower"
    assert sentence(judge(matched)).startswith("Cycle time: AI-assisted PRs are associated with lower values, 0.")


def pair(author: int, hours: tuple[float, float], copies: int = 2) -> list[Compared]:
    return [
        Compared(author, 1, assisted, 20, START, cycle_hours=hours[assisted])
        for assisted in (False, True)
        for _ in range(copies)
    ]


def test_thresholds() -> None:
    of_seven = [pull for author in range(7) for pull in pair(author, (4, 2), 5)]
    assert judge(match(of_seven, METRICS["cycle"])) == Effect("cycle", "not_enough_data", None, None, None, None)
    assert "not enough data" in sentence(judge(match(of_seven, METRICS["cycle"])))
    of_eight = [pull for author in range(8) for pull in pair(author, (4, 2))]
    found = judge(match(of_eight, METRICS["cycle"]))
    assert (found.verdict, found.estimate, found.low, found.high) == (
        "lower", pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.5),
    )  # fmt: skip
    assert judge(match(of_eight[:-2], METRICS["cycle"])).verdict == "not_enough_data"  # 14 assisted, of seven authors
    fourteen = [pull for author in range(14) for pull in pair(author, (4, 2), 1)]
    assert judge(match(fourteen, METRICS["cycle"])).verdict == "not_enough_data"


def test_only_strata_with_both_kinds_count() -> None:
    pulls = [pull for author in range(8) for pull in pair(author, (4, 2))]
    alone = [replace(pulls[-1], lines=5_000, cycle_hours=900.0)] * 5  # assisted, and nothing like it without
    matched = match([*pulls, *alone, replace(pulls[0], cycle_hours=None)], METRICS["cycle"])
    assert (matched.assisted, matched.others, matched.matched_assisted, matched.strata) == (21, 16, 16, 8)
    assert matched.covered == pytest.approx(16 / 21)
    assert judge(matched).estimate == pytest.approx(0.5)
    for other in ({"author": 99}, {"repository": 2}, {"merged_at": START + timedelta(days=90)}, {"lines": 9}):
        moved = [replace(pull, **other) if pull.assisted else pull for pull in pair(0, (4, 2))]
        assert match(moved, METRICS["cycle"]).strata == 0


def test_rates_are_compared_in_points() -> None:
    pulls = []
    for author in range(10):
        kinds = pair(author, (1, 1), 4)
        for number, pull in enumerate(kinds):
            pulls.append(replace(pull, reverted=pull.assisted and number == 4))
    found = judge(match(pulls, METRICS["reverted"]))
    assert (found.verdict, found.estimate) == ("higher", pytest.approx(25.0))
    assert "+25.0 points" in sentence(found)
    assert "caused" not in sentence(found)


@pytest.mark.parametrize(
    ("bot", "title", "head", "counts"),
    [
        (False, "Retry idempotent captures", "fix/capture", True),
        (False, "Release notes are shown", "feature/notes", True),
        (False, "Release 2.4", None, False),
        (True, "Bump lodash", "deps/lodash", False),
        (False, 'Revert "Retry idempotent captures"', "revert-12-fix/capture", False),
        (False, "chore(release): 1.4.0", None, False),
        (False, "v2.0.1", None, False),
        (False, "Ship it", "release/2026-11", False),
        (False, "Releases are listed", None, True),
    ],
)
def test_bots_reverts_and_releases_are_left_out(bot: bool, title: str, head: str | None, counts: bool) -> None:
    assert comparable(bot=bot, title=title, body=None, head_ref=head) is counts


def test_a_revert_is_known_once_thirty_days_are_over() -> None:
    assert reverted_early(START, None, START + timedelta(days=29)) is None
    assert reverted_early(START, None, START + timedelta(days=30)) is False
    assert reverted_early(START, START + timedelta(days=3), START + timedelta(days=4)) is True
    assert reverted_early(START, START + timedelta(days=31), START + timedelta(days=60)) is False


def test_a_revert_at_an_unknown_time_counts() -> None:
    """As on the ROI pages."""
    assert reverted_early(START, None, START + timedelta(days=3), reverted=True) is True
    assert reverted_early(START, None, START + timedelta(days=60), reverted=True) is True
    assert reverted_early(START, START + timedelta(days=31), START + timedelta(days=60), reverted=True) is False
