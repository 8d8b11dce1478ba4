"""The linker on a month of real runs: what it must reach with a fifth of the pull requests hidden."""

import time
from statistics import mean

from benchmarks.linking import replay
from tests.replay_data import LINKING, needs_replay_data

pytestmark = needs_replay_data


def test_counted_links_are_right_and_found() -> None:
    results = [replay(LINKING, 0.2, seed) for seed in range(3)]
    assert mean(result["precision"] for result in results) >= 0.90
    assert mean(result["recall"] for result in results) >= 0.86
    # Two seconds on a machine that adds ten million numbers in a third of one; how busy it is concerns both.
    assert min(result["seconds"] for result in results) < 6 * min(_adding() for _ in range(3))


def _adding() -> float:
    """Seconds that adding ten million numbers takes here and now."""
    started, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - started


def test_named_targets_are_always_right_and_found() -> None:
    result = replay(LINKING, 0.2, 0, explicit=True)
    assert (result["precision"], result["recall"]) == (1.0, 1.0)
