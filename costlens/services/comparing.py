"""AI-assisted against other pull requests of an organization, a team's repositories or one repository."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from costlens.domain.comparison import (
    METRICS,
    MIN_AUTHORS,
    MIN_PULLS,
    Compared,
    Effect,
    Matched,
    comparable,
    judge,
    match_all,
    reverted_early,
    sentence,
)
from costlens.domain.links import Outcome
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, Window, hours_between
from costlens.store import compared
from costlens.store.compared import MergedPull, Reviewed
from costlens.store.engine import Store, Tx


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, metric by metric."""

    window: Window
    pulls: int  # that could be compared: of known author and size, no bot's, no revert, no release
    assisted: int  # of them
    matched: tuple[Matched, ...]

    @property
    def effects(self) -> list[Effect]:
        """What the comparison says of each metric."""
        return [judge(one) for one in self.matched]


def comparison(
    store: Store, organization_id: int, window: Window, filters: Filters, *, now: datetime | None = None
) -> Comparison:
    """The comparison over the pull requests merged in a window; a team stands for its repositories."""
    with store.read() as tx:
        return compare_in(tx, organization_id, window, filters, now or datetime.now(UTC))


def compare_in(tx: Tx, organization_id: int, window: Window, filters: Filters, now: datetime) -> Comparison:
    """The same within a transaction."""
    begin, end = bounds(window)
    found = compared.merged_pulls(
        tx, organization_id, begin, end, team_id=filters.team_id, repository_id=filters.repository_id
    )
    reviews = compared.reviews_of(
        tx, organization_id, begin, end, team_id=filters.team_id, repository_id=filters.repository_id
    )
    pulls = [
        _compared(pull, reviews.get(pull.id), now)
        for pull in found
        if not pull.revert and comparable(bot=pull.bot, title=pull.title, body=None, head_ref=pull.head_ref)
    ]
    return Comparison(window, len(pulls), sum(pull.assisted for pull in pulls), match_all(pulls))


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; ratios of geometric means, or percentage points."""
    return {
        "startDate": found.window.start.isoformat(),
        "endDate": found.window.end.isoformat(),
        "pullRequests": found.pulls,
        "assisted": found.assisted,
        "needed": {"authors": MIN_AUTHORS, "pullRequestsOfEachKind": MIN_PULLS},
        "metrics": [effect_json(one) for one in found.matched],
    }


def effect_json(matched: Matched) -> dict[str, Any]:
    """One metric: what was matched, and what it says."""
    effect, metric = judge(matched), METRICS[matched.metric]
    return {
        "metric": metric.name,
        "label": metric.label,
        "unit": metric.kind,
        "verdict": effect.verdict,
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "unmatched": effect.naive,
        "assisted": matched.assisted,
        "others": matched.others,
        "matchedAssisted": matched.matched_assisted,
        "matchedOthers": matched.matched_others,
        "authors": len(matched.authors),
        "covered": matched.covered,
        "sentence": sentence(effect),
    }


def _compared(pull: MergedPull, reviewed: Reviewed | None, now: datetime) -> Compared:
    first = reviewed.first_at if reviewed else None
    return Compared(
        author=pull.person_id,
        repository=pull.repository_id,
        assisted=pull.assisted,
        lines=pull.lines,
        merged_at=pull.merged_at,
        cycle_hours=hours_between(pull.first_commit_at, pull.merged_at),
        pickup_hours=hours_between(pull.created_at, first),
        review_hours=hours_between(first, pull.merged_at),
        rounds=1.0 + reviewed.changes_requested if reviewed else None,
        reverted=reverted_early(pull.merged_at, pull.reverted_at, now, reverted=pull.outcome == Outcome.REVERTED),
    )
