"""How well the rules that guess prove themselves on runs whose pull request an explicit id tells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from costlens.domain.estimates import Z95
from costlens.domain.links import CommitFact, RepositoryFacts, Ruleset, RunFact, Stance

GUESSES = ("B1", "B3", "C1", "T1", "P1", "D1", "T2", "T3")  # the rules that can be tested
ENOUGH = 50  # tests before anything is proposed

_NONE: frozenset[str] = frozenset()

Target = tuple[int | None, str | None]  # a pull request by its id, or else a commit outside all of them


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs a rule would have linked, and how many of them rightly."""

    tested: int = 0
    right: int = 0

    @property
    def precision(self) -> float | None:
        """None: nothing was tested."""
        return self.right / self.tested if self.tested else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true precision lies, 95 times of 100 (Wilson); everywhere, while nothing was tested."""
        if not self.tested:
            return 0.0, 1.0
        share, n, z = self.right / self.tested, self.tested, Z95
        middle = share + z * z / (2 * n)
        spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def hidden_runs(runs: Iterable[RunFact]) -> list[RunFact]:
    """The runs without what ties them to one piece of work by name."""
    return [
        replace(run, pr_number=None, keys=_NONE, commit_sha=None if run.commit_is_result else run.commit_sha)
        for run in runs
    ]


def hidden_facts(facts: RepositoryFacts) -> RepositoryFacts:
    """The facts without the ids of runs and sessions that they name."""
    return RepositoryFacts(
        facts.default_branch,
        tuple(
            replace(pull, run_keys=_NONE, sessions=_NONE, commits=tuple(map(_hidden, pull.commits)))
            for pull in facts.pulls
        ),
        tuple(map(_hidden, facts.commits)),
    )


def _hidden(commit: CommitFact) -> CommitFact:
    return replace(commit, run_keys=_NONE, sessions=_NONE, attested=_NONE)


def add_tests(
    tallies: dict[str, Tally], guesses: Iterable[tuple[int, str, Target]], truth: Mapping[int, Sequence[Target]]
) -> None:
    """Counts (run, rule, target) of guesses on runs whose true targets are known."""
    for run, rule, target in guesses:
        if run in truth:
            old = tallies.get(rule, Tally())
            tallies[rule] = Tally(old.tested + 1, old.right + (target in truth[run]))


def proposal(rule: str, tally: Tally, ruleset: Ruleset) -> Stance | None:
    """What the tests speak for: no longer to count a rule that is surely below the threshold, or to count one that is
    surely above it. None: nothing, or too few tests."""
    low, high = tally.interval
    bar = ruleset.threshold / 1000
    if tally.tested < ENOUGH:
        return None
    if ruleset.counts(rule):
        return Stance.SUGGESTED if high < bar else None
    return Stance.COUNTED if low >= bar else None
