"""Shapes of routing, providers, the response cache and prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from costlens.web.shapes.base import Cost, Count, Day, Dollars, Instant, Percent, Shape, Share


class RoutedTo(Shape):
    provider: str
    model: str
    reason: str


class ContextFactors(Shape):
    prompt_complexity: Literal["trivial", "simple", "medium", "complex"]
    task_type: Literal["code", "translate", "summarize", "extract", "reason", "chat"]
    quality_requirement: Literal["high", "medium", "low"]
    urgency: Literal["low", "medium", "high"]


class RoutingDecision(Shape):
    selected_model: str
    provider: str
    original_model: str
    reasoning: str
    confidence: Share
    expected_cost: Cost
    estimated_cost: Cost
    expected_quality: Annotated[Share | None, msgspec.Meta(description="null: too few runs to tell")]
    quality_score: Annotated[Share | None, msgspec.Meta(description="The same")]
    expected_latency: Annotated[int | None, msgspec.Meta(description="Milliseconds, 95 of 100; null: not known")]
    context_factors: ContextFactors


class RoutingAnswer(Shape):
    success: Literal[True]
    decision: RoutedTo
    routing_decision: RoutingDecision


class RoutingState(Shape):
    success: Literal[True]
    enabled: bool
    enforce_model: bool


class QualityValidatorState(Shape):
    threshold: Share
    enabled: bool
    metrics: list[str]


class QualityValidatorAnswer(Shape):
    success: Literal[True]
    quality_validator: QualityValidatorState


class QualityScore(Shape):
    overall: Share
    coherence: Share
    completeness: Share
    relevance: Share
    passed: bool


class QualityAnswer(Shape):
    success: Literal[True]
    quality_score: QualityScore


class ProviderConfigShape(Shape):
    provider: str
    model: str | None
    weight: Percent
    min_quality: Share
    enforce_model: bool
    routing_strategy: Literal["balanced", "quality-first", "cost-first", "custom"]
    enabled: bool


class ProviderConfigs(Shape):
    success: Literal[True]
    configs: list[ProviderConfigShape]


class ProviderKey(Shape):
    id: str
    provider: str
    last_four: str
    created_at: Instant
    last_used_at: Instant | None


class ProviderKeys(Shape):
    success: Literal[True]
    api_keys: list[ProviderKey]


class CacheMiss(Shape):
    hit: Literal[False]


class CacheHit(Shape):
    hit: Literal[True]
    response: Annotated[Any, msgspec.Meta(description="As it was given")]
    saved_cost: Dollars
    cached_at: Instant


class CacheStored(Shape):
    success: Literal[True]
    stored: bool
    reason: Annotated[str | None, msgspec.Meta(description="Why it was not kept; null: it was")]
    ttl: Annotated[int, msgspec.Meta(description="Seconds")]


class CacheSettings(Shape):
    success: Literal[True]
    enabled: bool


class CacheDayShape(Shape):
    date: Day
    hits: Count
    misses: Count
    stored: Count
    saved_cost: Dollars


class CacheStats(Shape):
    enabled: bool
    hits: Count
    misses: Count
    hit_rate: Annotated[Share | None, msgspec.Meta(description="null: nothing was asked for")]
    saved_cost: Dollars
    daily_data: list[CacheDayShape]


class OptimizedPrompt(Shape):
    original: str
    optimized: str
    original_tokens: Count
    optimized_tokens: Count
    tokens_saved: Count
    token_reduction: Annotated[float, msgspec.Meta(description="Percent")]
    cost_saved: Annotated[float | None, msgspec.Meta(description="US dollars a call; null: no price is known")]
    savings_percent: Annotated[float, msgspec.Meta(description="Percent")]
