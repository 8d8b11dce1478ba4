"""Shapes of the ROI reports; docs/roi.md says what each figure means."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Coverage, Day, Dollars, Instant, Shape, Share


class Span(Shape):
    start_date: Day
    end_date: Day


class SpendShape(Shape):
    counted: Dollars
    merged: Dollars
    direct: Dollars
    open: Dollars
    abandoned: Dollars
    reverted: Dollars
    suggested: Dollars
    pending: Dollars
    unlinked: Dollars
    not_code: Dollars


class FiguresShape(Shape):
    """null: not available."""

    cost: Dollars
    not_code_cost: Dollars
    total_cost: Dollars
    linked_share: Share | None
    spend: SpendShape
    runs: Count
    not_code_runs: Count
    unpriced_runs: Count
    merged_pull_requests: Count
    abandoned_pull_requests: Annotated[int | None, msgspec.Meta(description="null: closed ones are not known")]
    reverted_pull_requests: Count
    shared_pull_requests: Count
    merged_pull_request_cost: Dollars
    direct_cost_per_merged: Cost
    median_cost_per_merged: Cost
    p90_cost_per_merged: Cost = msgspec.field(name="p90CostPerMerged")
    full_cost_per_merged: Cost
    merge_yield: float | None
    cycle_hours: float | None
    break_even_minutes: float | None
    required_hours: float | None
    seats: Annotated[Cost, msgspec.Meta(description="Subscriptions of the period; null: none are told of this scope")]
    full_cost: Annotated[Dollars, msgspec.Meta(description="`cost` and `seats`")]


class RoiRowShape(FiguresShape):
    id: int | None
    name: str
    team: str | None
    previous: FiguresShape
    trend: list[Dollars]


class RoiDay(Shape):
    date: Day
    merged: Dollars
    open: Dollars
    abandoned: Dollars
    not_linked: Dollars
    previous: Dollars


class Assisted(Shape):
    linked: Count
    declared: Count
    none_seen: Count
    at_least: float | None


class RoiSeats(Shape):
    of: Annotated[
        Literal["organization", "teams", "team", "not_set", "not_shared", "not_told"],
        msgspec.Meta(
            description="Whose they are; or not set, the organization's alone and not shared out to teams, or not told "
            "by repository and provider"
        ),
    ]
    of_no_row: Annotated[Cost, msgspec.Meta(description="Of `total.seats`, those in no row; null: there are none")]


class RoiBase(Shape):
    start_date: Day
    end_date: Day
    timezone: str
    comparison: Span
    data_through: Instant | None
    organization: str
    scope: Literal["repository", "team"]
    hourly_cost: float | None
    contributors: Count
    required_hours_per_week: float | None
    coverage: Coverage
    ai_assisted: Assisted | None
    seats: RoiSeats
    total: FiguresShape
    previous: FiguresShape
    days: list[RoiDay]
    unlinked_reasons: dict[str, Dollars]


class RoiByRepository(RoiBase):
    repositories: list[RoiRowShape]


class RoiByTeam(RoiBase):
    teams: list[RoiRowShape]


class RoiSummary(RoiBase):
    """The total without its rows."""


class PullRequest(Shape):
    number: int
    repo: str
    title: str
    outcome: Literal["merged", "open", "abandoned", "reverted"]
    runs: Count
    cost: Dollars
    created_at: Instant
    merged_at: Instant | None
    closed_at: Instant | None
    cycle_hours: float | None


class PullRequests(Shape):
    start_date: Day
    end_date: Day
    timezone: str
    pull_requests: list[PullRequest]
    next_cursor: str | None


class AiAssisted(Shape):
    state: Literal["linked", "declared", "none_seen"]
    sign: Annotated[str | None, msgspec.Meta(description="The visible sign of AI; null: none was seen")]
    mark: Annotated[Literal["ai", "manual"] | None, msgspec.Meta(description="What a person said; it comes first")]


class PullRequestFigures(PullRequest):
    url: Annotated[str | None, msgspec.Meta(description="On GitHub")]
    author: str | None
    head_ref: str | None
    base_ref: str | None
    additions: int | None
    deletions: int | None
    changed_files: int | None
    tokens: Count
    cached_share: Share | None
    unpriced_runs: Count
    suggested_runs: Count
    suggested_cost: Annotated[Dollars, msgspec.Meta(description="Never inside `cost`")]
    run_cost: Annotated[
        Cost,
        msgspec.Meta(description="Of the promptIds that it brought in, since the merge; null: its diff is not known"),
    ]
    ai_assisted: AiAssisted


class Course(Shape):
    first_commit_at: Instant | None
    created_at: Instant
    first_review_at: Annotated[Instant | None, msgspec.Meta(description="By another person")]
    reviewer: str | None
    reviews_known: bool
    merged_at: Instant | None
    closed_at: Instant | None
    coding_hours: float | None
    pickup_hours: float | None
    review_hours: float | None
    cycle_hours: float | None


class RankShape(Shape):
    """Among the pull requests of its repository with counted runs that were merged in the time before it."""

    percentile: Annotated[int | None, msgspec.Meta(description="null: fewer than 20")]
    median_cost: Cost
    pull_requests: Count
    since: Instant
    until: Instant


class ModelCost(Shape):
    provider: str
    model: str
    runs: Count
    tokens: Count
    cost: Dollars


class DayCost(Shape):
    date: Day
    cost: Dollars
    models: dict[str, Dollars]


class PromptCostShape(Shape):
    prompt_id: str
    runs: Count
    cost: Dollars


class LinkedRun(Shape):
    id: str
    request_id: str
    timestamp: Instant
    provider: str
    model: str
    prompt_id: str | None
    actor: str | None
    cost: Cost
    linked_cost: Dollars
    state: Literal["counted", "suggested", "rejected"]
    rule: str
    confidence: Share
    sentence: str


class PullRequestAnswer(Shape):
    pull_request: PullRequestFigures
    timeline: Course
    rank: RankShape
    models: Annotated[list[ModelCost], msgspec.Meta(description="Of the counted runs; they add up to `cost`")]
    days: Annotated[list[DayCost], msgspec.Meta(description="In the organization's time zone; they add up to `cost`")]
    prompts: list[PromptCostShape] | None
    runs: Annotated[list[LinkedRun], msgspec.Meta(description="Counted for it, the newest 1,000")]
    suggestions: Annotated[list[LinkedRun], msgspec.Meta(description="Suggested or rejected, the newest 100")]
