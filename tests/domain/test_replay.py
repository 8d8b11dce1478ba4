"""The linker on a month of real runs: what it must reach with a fifth of the pull requests hidden."""

from statistics import mean

from benchmarks.linking import replay
from tests.replay_data import LINKING, needs_replay_data

pytestmark = needs_replay_data


def test_counted_links_are_right_and_found() -> None:
    results = [replay(LINKING, 0.2, seed) for seed in range(3)]
    assert mean(result["precision"] for result in results) >= 0.90
    assert mean(result["recall"] for result in results) >= 0.86
    assert min(result["seconds"] for result in results) < 2


def test_named_targets_are_always_right_and_found() -> None:
    result = replay(LINKING, 0.2, 0, explicit=True)
    assert (result["precision"], result["recall"]) == (1.0, 1.0)
