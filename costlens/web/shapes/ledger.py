"""Shapes of runs, links and the sums over them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Coverage, Day, Dollars, Instant, Percent, Shape, Share, Warned

Status = Literal["priced", "reported", "estimated", "unpriced", "free"]
LinkState = Literal["counted", "suggested", "pending", "unlinked", "not_code"]
Warning_ = Warned | msgspec.UnsetType


class TrackedRun(Shape):
    id: str
    request_id: str
    correlation_id: str
    provider: str
    model: str
    success: bool
    cost: Cost
    cost_status: Status
    prompt_id: str | None


class Tracked(Shape):
    success: Literal[True]
    run: TrackedRun
    warning: Warning_ = msgspec.UNSET


class TrackedInstant(Shape):
    success: Literal[True]
    run: TrackedRun
    analytics_url: str
    warning: Warning_ = msgspec.UNSET


class BatchStats(Shape):
    total_runs: Count
    successful: Count
    failed: Count
    success_rate: Percent


class ItemStored(Shape):
    index: Count
    status: Literal[200]
    id: str
    new: Annotated[bool, msgspec.Meta(description="false: it had been stored before")]


class ItemRefused(Shape):
    index: Count
    status: Annotated[int, msgspec.Meta(ge=400, lt=500)]
    code: str


class ItemError(Shape):
    index: Count
    code: str
    message: str
    field: str | None


class BatchTracked(Shape):
    success: Annotated[bool, msgspec.Meta(description="false when no item was stored")]
    processed: Count
    errors: Count
    runs: list[TrackedRun]
    batch_stats: BatchStats
    results: Annotated[list[dict[str, Any]], msgspec.Meta(description="ItemStored or ItemRefused, one an item")]
    error_details: list[ItemError]
    warning: Warning_ = msgspec.UNSET


class Imported(Shape):
    success: Annotated[bool, msgspec.Meta(description="false when no line was stored")]
    processed: Count
    errors: Count
    new: Annotated[int, msgspec.Meta(description="The others had been stored before")]
    batch_stats: BatchStats
    error_details: Annotated[list[ItemError], msgspec.Meta(description="The first 1,000; `index` is the line, from 0")]


class DaySums(Shape):
    date: Day
    runs: Count
    cost: Cost
    tokens: Count
    unpriced_runs: Count


class ModelDaySums(Shape):
    model: str
    runs: Count
    cost: Cost
    tokens: Count
    unpriced_runs: Count


class ProviderDaySums(Shape):
    provider: str
    runs: Count
    cost: Cost
    tokens: Count
    unpriced_runs: Count


class GroupRow(Shape):
    kind: Annotated[
        Literal["group", "none", "other"],
        msgspec.Meta(description="none: of no team, …; other: past the limit, so that the rows add up"),
    ]
    key: str | None
    name: str | None
    runs: Count
    cost: Cost
    tokens: Count
    unpriced_runs: Count
    success_rate: Percent
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]


class PreviousOverview(Shape):
    """The same of the period of equal length before."""

    start_date: Day
    end_date: Day
    total_runs: Count
    total_cost: Dollars
    total_tokens: Count
    avg_cost_per_run: Dollars
    success_rate: Percent
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]


class OverviewAnswer(Shape):
    total_runs: Count
    total_cost: Dollars
    total_tokens: Count
    avg_cost_per_run: Annotated[float, msgspec.Meta(description="US dollars, over runs that have a price")]
    success_rate: Annotated[Percent, msgspec.Meta(description="Percent")]
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]
    daily_data: list[DaySums]
    by_model: list[ModelDaySums]
    by_provider: list[ProviderDaySums]
    start_date: Day
    end_date: Day
    timezone: str
    data_through: Instant | None
    coverage: Coverage
    groups: list[GroupRow] | msgspec.UnsetType = msgspec.UNSET
    previous: PreviousOverview | msgspec.UnsetType = msgspec.UNSET


class Usage(Shape):
    plan: str
    runs_this_month: Annotated[int, msgspec.Meta(description="Received in this month of UTC")]
    runs_limit: Annotated[int | None, msgspec.Meta(description="null: unlimited")]
    percent_used: Annotated[float | None, msgspec.Meta(description="null: unlimited")]


class Tokens(Shape):
    """Disjoint: no token stands in two of them."""

    input_uncached: Count
    cache_read: Count
    cache_write_5m: Count = msgspec.field(name="cacheWrite5m")
    cache_write_1h: Count = msgspec.field(name="cacheWrite1h")
    output_text: Count
    output_reasoning: Count


class Run(Shape):
    id: str
    request_id: str
    correlation_id: str
    session_id: str | None
    timestamp: Instant
    received_at: Instant
    source: str
    provider: str
    model: str
    requested_model: str | None
    prompt_id: str | None
    environment: str | None
    tool: str | None
    tags: dict[str, str] | None
    team: str | None
    actor: str | None
    repo: str | None
    branch: str | None
    commit_sha: str | None
    commit_role: Literal["result", "head_before"] | None
    pr_number: int | None
    tokens: Tokens
    tokens_used: Count
    usage_quality: Literal["exact", "split_estimate", "text_estimate", "missing"]
    cost: Cost
    cost_status: Status
    list_cost: Cost
    reported_cost: Cost
    price_version: str | None
    success: bool
    error: str | None
    latency: int | None
    link_state: LinkState
    unlinked_reason: str | None
    linked_cost: Dollars


class RunList(Shape):
    runs: list[Run]
    next_cursor: str | None


class PriceLine(Shape):
    class_: Annotated[str, msgspec.Meta(description="A class of tokens, or `run` for what is billed once")] = (
        msgspec.field(name="class")
    )
    quantity: Count
    dollars_per_million: float
    cost: Dollars


class PriceExplained(Shape):
    """Class × tokens × rate by the prices of now, line by line; the lines add up to `total`."""

    lines: list[PriceLine]
    total: Cost
    source: str | None
    version: str | None
    model: str | None
    effective_from: Annotated[Instant | None, msgspec.Meta(description="null: no earlier price is known")]
    effective_to: Annotated[Instant | None, msgspec.Meta(description="Excluded; null: it holds still")]
    is_cost: Annotated[bool, msgspec.Meta(description="Whether `total` is the run's cost")]
    note: Annotated[str | None, msgspec.Meta(description="Why it is not, or what is estimated")]


class Link(Shape):
    run: str
    request_id: str
    repo: str
    pull_request: Annotated[int | None, msgspec.Meta(description="null: a commit outside any pull request")]
    title: str | None
    outcome: Literal["merged", "open", "abandoned", "reverted", "direct"]
    commit_sha: str | None
    rule: str
    confidence: Share
    state: Literal["counted", "suggested", "rejected"]
    cost: Dollars
    share: Annotated[float, msgspec.Meta(description="Of the run's cost, 0 to 1")]
    evidence: dict[str, Any]
    sentence: str
    since: Instant


class RunExplained(Run):
    price: PriceExplained = msgspec.field()
    links: list[Link] = msgspec.field()


class RunAnswer(Shape):
    run: RunExplained


class RunDecided(Shape):
    success: Literal[True]
    run: RunExplained


class LinkList(Shape):
    links: list[Link]
    next_cursor: str | None


class Alive(Shape):
    status: Literal["ok"]


class Ready(Shape):
    status: Literal["ready", "not ready"]
    checks: dict[str, Any]


class RejectedSpans(Shape):
    rejected_spans: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    error_message: str


class TracesTaken(Shape):
    """ExportTraceServiceResponse: empty when all is well."""

    partial_success: RejectedSpans | msgspec.UnsetType = msgspec.UNSET


class RejectedLogRecords(Shape):
    rejected_log_records: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    error_message: str


class LogsTaken(Shape):
    """ExportLogsServiceResponse: empty when all is well."""

    partial_success: RejectedLogRecords | msgspec.UnsetType = msgspec.UNSET


class MetricsTaken(Shape):
    """ExportMetricsServiceResponse: always empty."""
