"""Shapes of assumptions, estimates, the comparison and kept reports; docs/reports.md says what each figure means."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Dollars, Instant, Shape, Share

ReportKind = Literal["day", "week", "month", "asked"]
ReportScope = Literal["organization", "team", "repository"]


class RangeShape(Shape):
    low: float
    mid: float
    high: float


class SurveyShape(Shape):
    """Hours saved per merged pull request, as people said."""

    mean: float
    deviation: float
    answers: Count


class AssumedShape(Shape):
    hourly_cost: float | None
    hours_saved_per_merged: RangeShape | None
    survey: SurveyShape | None
    recapture: RangeShape
    review_hours: float
    rework_hours: float


class BasisShape(Shape):
    merged_pull_requests: Count
    reverted_pull_requests: Count
    counted: Dollars
    expected: Dollars
    code: Dollars
    seats: Dollars
    rollout: Dollars
    coverage: Share | None


class RefusalShape(Shape):
    code: Literal["not_set", "no_hourly_cost", "nothing_spent", "low_coverage", "few_pull_requests"]
    reason: str
    fix: str


class DrawnShape(Shape):
    p10: float
    p50: float
    p90: float


class SimulatedShape(Shape):
    roi_percent: DrawnShape
    net: DrawnShape
    probability_positive: Share


class ResultShape(Shape):
    value: RangeShape
    cost: RangeShape
    net: RangeShape
    roi_percent: RangeShape
    return_multiple: RangeShape
    simulated: SimulatedShape


class EstimateShape(Shape):
    """An estimate, never a measurement: `result` or else why it is refused."""

    assumptions: AssumedShape
    basis: BasisShape
    refused: RefusalShape | None
    result: ResultShape | None


class EstimateAnswer(EstimateShape):
    start_date: Day
    end_date: Day
    timezone: str


class EffectShape(Shape):
    """null: not enough data."""

    metric: Literal["cycle", "pickup", "review", "rounds", "size", "reverted"]
    label: str
    unit: Annotated[Literal["ratio", "points"], msgspec.Meta(description="Of geometric means, or percentage points")]
    verdict: Literal["not_enough_data", "inconclusive", "lower", "higher"]
    estimate: float | None
    low: float | None
    high: float | None
    unmatched: float | None
    assisted: Count
    others: Count
    matched_assisted: Count
    matched_others: Count
    authors: Count
    covered: Share
    sentence: str


class Needed(Shape):
    authors: Count
    pull_requests_of_each_kind: Count


class ComparedShape(Shape):
    start_date: Day
    end_date: Day
    pull_requests: Count
    assisted: Count
    metrics: list[EffectShape]


class ComparisonAnswer(ComparedShape):
    needed: Needed


class AssumptionsShape(Shape):
    """What was set from a day on; amounts in dollars."""

    since: Day
    hourly_cost: float | None
    seats_per_month: float
    hours_saved: RangeShape | None
    survey: SurveyShape | None
    recapture: RangeShape
    review_hours: float
    rework_hours: float
    rollout_cost: float
    rollout_months: Count
    set_by: str
    set_at: Instant


class AssumptionsAnswer(Shape):
    team: str | None
    assumptions: Annotated[list[AssumptionsShape], msgspec.Meta(description="The newest first")]


class ReportHead(Shape):
    id: int
    kind: ReportKind
    scope: ReportScope
    name: str
    start_date: Day
    end_date: Day
    version: Count
    as_of: Instant
    digest: Annotated[str, msgspec.Meta(description="SHA-256 of the report as JSON")]


class ReportList(Shape):
    reports: list[ReportHead]
    next_cursor: str | None


class AskedReport(Shape):
    """A report that was asked for; while a worker makes it, it is listed at `url` as soon as it is there."""

    status: Literal["made", "waiting", "running"]
    scope: ReportScope
    name: str
    start_date: Day
    end_date: Day
    version: Annotated[int, msgspec.Meta(ge=1, description="Of the report that was asked for")]
    url: Annotated[str, msgspec.Meta(description="Where it is, or is listed when it is made")]
    report: ReportHead | None


class FindingShape(Shape):
    kind: str
    amount: Dollars
    text: str
    fix: str
    page: str
    query: dict[str, Any]


class ReportPull(Shape):
    repo: str
    number: int
    title: str
    outcome: str
    runs: Count
    cost: Cost


class ReportModel(Shape):
    provider: str
    model: str
    runs: Count
    cost: Dollars
    previous_runs: Count
    previous_cost: Dollars


class ReportShape(Shape):
    """A kept report; the same bytes whenever it is read."""

    kind: ReportKind
    scope: ReportScope
    name: str
    as_of: Instant
    program_version: str
    price_version: str
    ruleset_version: int
    figures: Annotated[dict[str, Any], msgspec.Meta(description="As of GET /roi/repositories, or of /roi/teams")]
    estimate: EstimateShape
    worth_a_look: list[FindingShape]
    pull_requests: list[ReportPull]
    models: list[ReportModel]
    comparison: ComparedShape | None
