"""The linker on a month of real runs: what it must reach with a fifth of the pull requests hidden."""

import os
from pathlib import Path
from statistics import mean

import pytest

from benchmarks.linking import replay

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("COSTLENS_SHARED_DATA") or REPOSITORY.parent / "shared" / "data") / "linking"

pytestmark = pytest.mark.skipif(
    not (DATA / "runs.jsonl").exists(),
    reason=f"no replay data in {DATA}; COSTLENS_SHARED_DATA names its parent",
)


def test_counted_links_are_right_and_found() -> None:
    results = [replay(DATA, 0.2, seed) for seed in range(3)]
    assert mean(result["precision"] for result in results) >= 0.90
    assert mean(result["recall"] for result in results) >= 0.86
    assert min(result["seconds"] for result in results) < 2


def test_named_targets_are_always_right_and_found() -> None:
    result = replay(DATA, 0.2, 0, explicit=True)
    assert (result["precision"], result["recall"]) == (1.0, 1.0)
