"""AI-assisted pull requests against others, compared only where both kinds are alike.

Strata are (author, size bucket, quarter, repository). Within each that holds both kinds, the assisted ones are compared
with the others; the answer is the mean of these differences, weighted by assisted pull requests (the effect on the
treated, ATT). The interval is a percentile bootstrap over authors: pull requests of one person are not independent.
What is found is an association. Spans follow DORA and Apache DevLake: pickup = first review − created,
review = merged − first review, without bots' and the author's own reviews; negative spans are unknown.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType

from costlens.domain.roi import REVERT_DAYS, percentile
from costlens.domain.trailers import revert_targets

MIN_AUTHORS = 8
MIN_PULLS = 15  # of each kind
DRAWS = 1_000
SEED = 20_260_101
SIZES = (10, 50, 200, 1_000)  # changed lines at which a bucket ends
MINUTE = 1 / 60  # of an hour: shorter spans are as good as this long, so that a logarithm exists
_RELEASE = re.compile(
    r"(chore\(release\)|release:?\s+v?[0-9]|bump version|version bump|v?[0-9]+\.[0-9]+(\.[0-9]+)?\s*$)", re.I
)
_RELEASE_BRANCH = re.compile(r"(release|changeset-release|release-please)[/-]", re.I)


@dataclass(frozen=True, slots=True)
class Compared:
    """A merged pull request, as far as the comparison looks at it."""

    author: int
    repository: int
    assisted: bool  # a counted link, or a declared sign
    lines: int  # added and deleted
    merged_at: datetime
    cycle_hours: float | None = None  # None: unknown
    pickup_hours: float | None = None  # None: no review by another person, or unknown
    review_hours: float | None = None  # None: as pickup_hours
    rounds: float | None = None  # reviews that asked for changes, and the first. None: reviews unknown
    reverted: bool | None = None  # within 30 days. None: those 30 days are not over


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is compared."""

    name: str
    label: str
    kind: str  # ratio, of geometric means; points, of a rate
    value: Callable[[Compared], float | None]


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        one.name: one
        for one in (
            Metric("cycle", "Cycle time", "ratio", lambda pull: pull.cycle_hours),
            Metric("pickup", "Pickup", "ratio", lambda pull: pull.pickup_hours),
            Metric("review", "Review time", "ratio", lambda pull: pull.review_hours),
            Metric("rounds", "Review rounds", "ratio", lambda pull: pull.rounds),
            Metric("size", "Size", "ratio", lambda pull: float(max(1, pull.lines))),
            Metric("reverted", "Reverted in 30 days", "points", lambda pull: _rate(pull.reverted)),
        )
    }
)


Stratum = tuple[int, int, int, int]  # author, size class, quarter, repository


@dataclass(frozen=True, slots=True)
class AuthorSum:
    """What one author adds to the effect: the sum of weighted differences, and the weights."""

    gain: float
    weight: int  # assisted pull requests in strata that hold both kinds


@dataclass(frozen=True, slots=True)
class Matched:
    """The comparison of one metric before the bootstrap; people are not named in it."""

    metric: str
    assisted: int  # pull requests of which the metric is known
    others: int
    matched_assisted: int  # in strata that hold both kinds
    matched_others: int
    strata: int
    naive: float | None  # the difference of plain means, on the scale of the kind. None: a kind is missing
    authors: tuple[AuthorSum, ...]

    @property
    def covered(self) -> float:
        """Share of the assisted pull requests that the comparison speaks of."""
        return self.matched_assisted / self.assisted if self.assisted else 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What the comparison says. Ratios: 0.8 = a fifth less; points: percentage points."""

    metric: str
    verdict: str  # not_enough_data, inconclusive, lower, higher
    estimate: float | None  # None: not enough data
    low: float | None  # 95 % interval. None: as estimate
    high: float | None
    naive: float | None  # without matching, to show what it hides. None: not enough data


def comparable(*, bot: bool, title: str, body: str | None, head_ref: str | None) -> bool:
    """Whether a pull request is somebody's own work: no bot's, no revert and no release."""
    if bot or revert_targets(title, body, head_ref):
        return False
    return not _RELEASE.match(title.strip()) and not (head_ref and _RELEASE_BRANCH.match(head_ref))


def reverted_early(
    merged_at: datetime, reverted_at: datetime | None, now: datetime, *, reverted: bool = False
) -> bool | None:
    """Whether a merge was taken back within 30 days, or `reverted` at a time unknown, as the ROI pages count it.

    None: not yet, and the days are not over.
    """
    soon = timedelta(days=REVERT_DAYS)
    if reverted if reverted_at is None else reverted_at - merged_at <= soon:
        return True
    return None if now - merged_at < soon else False


def match_all(pulls: Sequence[Compared]) -> tuple[Matched, ...]:
    """Every metric; the stratum of each pull request, which is the same for all of them, is looked up once."""
    keys = [_stratum(pull) for pull in pulls]
    return tuple(_match(zip(keys, pulls, strict=True), metric) for metric in METRICS.values())


def match(pulls: Iterable[Compared], metric: Metric) -> Matched:
    """Sorts pull requests into strata and compares the two kinds in each."""
    return _match(((_stratum(pull), pull) for pull in pulls), metric)


def _match(pulls: Iterable[tuple[Stratum, Compared]], metric: Metric) -> Matched:
    strata: dict[Stratum, tuple[list[float], list[float]]] = {}
    plain: tuple[list[float], list[float]] = ([], [])
    for key, pull in pulls:
        value = metric.value(pull)
        if value is None:
            continue
        scaled = math.log(max(value, MINUTE)) if metric.kind == "ratio" else value
        kinds = strata.get(key)
        if kinds is None:
            kinds = strata[key] = ([], [])
        kinds[pull.assisted].append(scaled)
        plain[pull.assisted].append(scaled)
    sums: dict[int, tuple[float, int]] = {}
    both = sorted((key, *kinds) for key, kinds in strata.items() if kinds[0] and kinds[1])
    for (author, *_), others, assisted in both:
        gain, weight = sums.get(author, (0.0, 0))
        difference = math.fsum(assisted) / len(assisted) - math.fsum(others) / len(others)
        sums[author] = gain + len(assisted) * difference, weight + len(assisted)
    naive = math.fsum(plain[1]) / len(plain[1]) - math.fsum(plain[0]) / len(plain[0]) if all(plain) else None
    return Matched(
        metric=metric.name,
        assisted=len(plain[1]),
        others=len(plain[0]),
        matched_assisted=sum(len(assisted) for _, _, assisted in both),
        matched_others=sum(len(others) for _, others, _ in both),
        strata=len(both),
        naive=naive,
        authors=tuple(AuthorSum(*sums[author]) for author in sorted(sums)),
    )


def judge(matched: Matched, *, draws: int = DRAWS, seed: int = SEED) -> Effect:
    """The effect with its interval, in words that do not say more than the data does."""
    few = min(matched.matched_assisted, matched.matched_others) < MIN_PULLS
    if few or len(matched.authors) < MIN_AUTHORS:
        return Effect(matched.metric, "not_enough_data", None, None, None, None)
    shown = math.exp if METRICS[matched.metric].kind == "ratio" else _points
    mean = math.fsum(one.gain for one in matched.authors) / sum(one.weight for one in matched.authors)
    means = sorted(_resampled(matched.authors, draws, seed))
    low, high = percentile(means, 25) or 0.0, percentile(means, 975) or 0.0
    verdict = "inconclusive" if low <= 0 <= high else "lower" if high < 0 else "higher"
    naive = None if matched.naive is None else shown(matched.naive)
    return Effect(matched.metric, verdict, shown(mean), shown(low), shown(high), naive)


def sentence(effect: Effect) -> str:
    """The effect in one sentence."""
    label = METRICS[effect.metric].label
    if effect.estimate is None:
        return f"{label}: not enough data ({MIN_AUTHORS} authors and {MIN_PULLS} matched PRs of each kind are needed)."
    if METRICS[effect.metric].kind == "ratio":
        size = f"{effect.estimate:.2f}× [{effect.low:.2f}, {effect.high:.2f}]"
    else:
        size = f"{effect.estimate:+.1f} points [{effect.low:+.1f}, {effect.high:+.1f}]".replace("-", "−")
    if effect.verdict == "inconclusive":
        return f"{label}: inconclusive, {size}."
    return f"{label}: AI-assisted PRs are associated with {effect.verdict} values, {size}."


def _stratum(pull: Compared) -> Stratum:
    quarter = pull.merged_at.year * 4 + (pull.merged_at.month - 1) // 3
    return pull.author, bisect_right(SIZES, pull.lines), quarter, pull.repository


def _resampled(authors: Sequence[AuthorSum], draws: int, seed: int) -> list[float]:
    """The mean effect of as many sets of authors, each drawn with replacement."""
    random, count = Random(seed).random, len(authors)
    gains, weights = [one.gain for one in authors], [one.weight for one in authors]
    means = []
    for _ in range(draws):
        picked = [int(random() * count) for _ in range(count)]
        means.append(sum(gains[one] for one in picked) / sum(weights[one] for one in picked))
    return means


def _rate(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _points(share: float) -> float:
    return share * 100
