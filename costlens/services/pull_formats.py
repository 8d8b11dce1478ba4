"""One pull request as JSON for the API: the figures of its page, unrounded."""

from __future__ import annotations

from typing import Any

from costlens.domain.linking import sentence
from costlens.domain.runs import show_id
from costlens.domain.shown import NANOS, dollars, instant
from costlens.services.pulls import PullDetails


def pull_details_json(found: PullDetails, url: str | None) -> dict[str, Any]:
    """The page as JSON values: camelCase, money in dollars, hours and shares as numbers, null for not known.

    `url` is the pull request's own page; None: nowhere.
    """
    pull, course, rank = found.pull, found.timeline, found.rank
    return {
        "pullRequest": {
            "number": pull.number,
            "repo": pull.repository,
            "title": pull.title,
            "outcome": pull.outcome,
            "runs": found.counted.runs,
            "cost": found.counted.cost / NANOS,
            "createdAt": instant(pull.created_at),
            "mergedAt": instant(pull.merged_at),
            "closedAt": instant(pull.closed_at),
            "cycleHours": found.cycle_hours,
            "url": url,
            "author": pull.login,
            "headRef": pull.head_ref,
            "baseRef": pull.base_ref,
            "additions": pull.additions,
            "deletions": pull.deletions,
            "changedFiles": pull.changed_files,
            "tokens": found.counted.tokens,
            "cachedShare": found.counted.cached_share,
            "unpricedRuns": found.counted.runs - found.counted.priced,
            "suggestedRuns": found.suggested.runs,
            "suggestedCost": found.suggested.cost / NANOS,
            "runCost": dollars(found.run_cost),
            "aiAssisted": {"state": found.ai.state, "sign": found.ai.sign, "mark": found.ai.mark},
        },
        "timeline": {
            "firstCommitAt": instant(course.first_commit_at),
            "createdAt": instant(course.created_at),
            "firstReviewAt": instant(course.reviewed_at),
            "reviewer": course.reviewer,
            "reviewsKnown": found.reviews_known,
            "mergedAt": instant(course.merged_at),
            "closedAt": instant(course.closed_at),
            "codingHours": course.coding,
            "pickupHours": course.pickup,
            "reviewHours": course.review,
            "cycleHours": course.cycle,
        },
        "rank": {
            "percentile": rank.percentile,
            "medianCost": dollars(rank.median),
            "pullRequests": len(rank.costs),
            "since": instant(rank.since),
            "until": instant(rank.until),
        },
        "models": [
            {
                "provider": provider,
                "model": model,
                "runs": each.runs,
                "tokens": each.tokens,
                "cost": each.cost / NANOS,
            }
            for provider, model, each in found.models
        ],
        "days": [
            {
                "date": day.isoformat(),
                "cost": sum(models.values()) / NANOS,
                "models": {model: cost / NANOS for model, cost in sorted(models.items())},
            }
            for day, models in found.days
        ],
        "prompts": None
        if found.prompts is None
        else [{"promptId": each.prompt, "runs": each.runs, "cost": each.cost_nanos / NANOS} for each in found.prompts],
        "runs": [_link_json(row) for row in found.runs],
        "suggestions": [_link_json(row) for row in found.others],
    }


def _link_json(row: Any) -> dict[str, Any]:
    return {
        "id": show_id("run", row.id),
        "requestId": row.request_id or show_id("req", row.id),
        "timestamp": instant(row.occurred_at),
        "provider": row.provider,
        "model": row.model,
        "promptId": row.prompt_id,
        "actor": row.actor,
        "cost": dollars(row.cost_nanos),
        "linkedCost": int(row.linked_nanos) / NANOS,
        "state": "rejected" if row.state == "unlinked" else row.state,
        "rule": row.rule,
        "confidence": row.confidence / 1000,
        "sentence": sentence(row.evidence),
    }
