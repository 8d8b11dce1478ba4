"""Shapes of the dashboard, the predictions, the cost of a prompt, and savings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Coverage, Day, Dollars, Instant, Shape, Share


class Saved(Shape):
    total: Dollars
    roi: Annotated[int, msgspec.Meta(description="Savings ÷ cost × 100, rounded")]


class CostForecast(Shape):
    next7_days: Dollars
    next30_days: Dollars
    confidence: Annotated[int, msgspec.Meta(ge=0, le=100)]
    trend: Literal["increasing", "decreasing", "stable"]
    factors: list[str]


class RoutingDecisions(Shape):
    """enforced + qualityUpgrades + costDowngrades = total = totalRuns."""

    total: Count
    enforced: Annotated[int, msgspec.Meta(description="The model that was asked for")]
    quality_upgrades: Annotated[int, msgspec.Meta(description="Another model, not known to be cheaper")]
    cost_downgrades: Annotated[int, msgspec.Meta(description="A cheaper model")]


class ProviderStats(Shape):
    provider: str
    requests: Count
    cost: Cost
    avg_latency: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds")]
    success_rate: Share
    quality_score: Annotated[Share | None, msgspec.Meta(description="Mean of feedback; null: none")]


class DashboardData(Shape):
    total_runs: Count
    total_cost: Dollars
    savings: Saved
    cost_forecast: CostForecast
    routing_decisions: RoutingDecisions
    provider_stats: list[ProviderStats]
    start_date: Day
    end_date: Day
    timezone: str
    data_through: Instant | None
    coverage: Coverage


class DashboardStats(Shape):
    success: Literal[True]
    data: DashboardData


class ForecastFactors(Shape):
    request_volume: float
    avg_cost_per_request: Dollars
    seasonal_adjustment: Annotated[float, msgspec.Meta(description="This day ÷ the mean of all days")]


class ForecastDay(Shape):
    date: Day
    predicted_cost: Dollars
    confidence: Share
    factors: ForecastFactors


class PredictedCost(Shape):
    projected_monthly_cost: Annotated[float, msgspec.Meta(description="US dollars, of the next 30 days")]
    trend: Literal["up", "down", "stable"]
    confidence: Share
    low80: Dollars
    high80: Dollars
    backtest_error: Annotated[
        float | None, msgspec.Meta(description="Mean relative error on the past; null: too little history")
    ]
    history_days: Count
    factors: list[str]
    daily: list[ForecastDay]


class CostAlert(Shape):
    id: str
    type: Literal["spend", "limit", "pricing"]
    level: Literal["info", "warning", "critical"]
    severity: Literal["low", "medium", "high", "critical"]
    message: str
    current_spend: Annotated[float | None, msgspec.Meta(description="US dollars; null: not about money")]
    threshold: Annotated[float | None, msgspec.Meta(description="US dollars; null: not about money")]
    created_at: Instant
    resolved: bool


class RecommendationObject(Shape):
    type: Literal["model_downgrade", "provider_switch", "prompt_caching", "price_missing"]
    description: str
    estimated_savings: Annotated[float, msgspec.Meta(description="US dollars in 30 days")]
    confidence: Share


class Predictive(Shape):
    success: Literal[True]
    forecast: PredictedCost
    alerts: list[CostAlert]
    recommendations: Annotated[
        list[str | RecommendationObject],
        msgspec.Meta(description="Sentences; objects with type=recommendations"),
    ]
    potential_savings: Annotated[float, msgspec.Meta(description="US dollars in 30 days, if all is done")]
    timezone: str
    data_through: Instant | None


class CostAnalysis(Shape):
    provider: str
    model: str
    estimated_tokens: Annotated[int, msgspec.Meta(description="Of the prompt, four characters each")]
    estimated_output_tokens: Annotated[int, msgspec.Meta(description="As this model's runs had on average")]
    estimated_cost: Cost
    recommendations: list[str]
    timestamp: Instant


class SavedGroup(Shape):
    runs: Count
    cost: Dollars
    saved: Dollars


class SavedDay(SavedGroup):
    date: Day


class SavedByModel(SavedGroup):
    model: str


class SavedByProvider(SavedGroup):
    provider: str


class SavingsAnswer(Shape):
    total: Dollars
    roi: Annotated[int, msgspec.Meta(description="Savings ÷ cost × 100, rounded")]
    cost: Dollars
    routing: Dollars
    caching: Dollars
    cached_runs: Count
    routed_runs: Count
    daily_data: list[SavedDay]
    by_model: list[SavedByModel]
    by_provider: list[SavedByProvider]
    start_date: Day
    end_date: Day
    timezone: str
