"""GET /dashboard/stats, GET /cost/predictive, POST /cost-analysis and GET /savings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from flask import Blueprint, Response

from costlens.domain.classifier import tokens_of
from costlens.domain.shown import NANOS, dollars, instant, moment
from costlens.services.analytics import Overview
from costlens.services.dashboard import Dashboard, dashboard, savings, savings_roi
from costlens.services.forecasting import Outlook, outlook
from costlens.services.predictions import alerts, recommendations
from costlens.services.routing import estimate
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body
from costlens.web.shapes import insights as shape
from costlens.web.shapes.base import Coverage

_TRENDS = {"up": "increasing", "down": "decreasing", "stable": "stable"}
_LEVELS = {"medium": "warning", "high": "critical"}

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


def blueprint() -> Blueprint:
    """The routes that look ahead and at savings."""
    routes = Blueprint("insights", __name__)
    routes.get("/dashboard/stats")(get_dashboard)
    routes.get("/cost/predictive")(get_predictive)
    routes.post("/cost-analysis")(analyse_cost)
    routes.get("/savings")(get_savings)
    return routes


def get_dashboard() -> Response:
    """The figures of a period, how runs were routed, and the forecast; successRate is a fraction here."""
    organization = require_key("read").organization
    found = dashboard(context().store, organization, params.period(organization, default="30d"))
    return json_answer(shape.DashboardStats(success=True, data=_dashboard(found)))


def _dashboard(found: Dashboard) -> shape.DashboardData:
    total, window = found.overview.total, found.overview.window
    month = found.ahead.forecast.total(30)
    return shape.DashboardData(
        total_runs=total.runs,
        total_cost=total.cost_nanos / NANOS,
        savings=shape.Saved(total=found.saved_nanos / NANOS, roi=savings_roi(found.saved_nanos, total.cost_nanos)),
        cost_forecast=shape.CostForecast(
            next7_days=found.ahead.forecast.total(7).nanos / NANOS,
            next30_days=month.nanos / NANOS,
            confidence=round(100 * month.confidence),
            trend=_TRENDS[found.ahead.forecast.trend],  # type: ignore[arg-type]
            factors=list(found.ahead.forecast.factors),
        ),
        routing_decisions=shape.RoutingDecisions(
            total=total.runs,
            enforced=found.enforced,
            quality_upgrades=found.routed.upgrades,
            cost_downgrades=found.routed.downgrades,
        ),
        provider_stats=[
            shape.ProviderStats(
                provider=one.provider,
                requests=one.totals.runs,
                cost=one.totals.cost_nanos / NANOS if one.totals.priced_runs else None,
                avg_latency=round(one.totals.latency_ms / one.totals.timed_runs) if one.totals.timed_runs else 0,
                success_rate=round(one.totals.succeeded / one.totals.runs, 4) if one.totals.runs else 0.0,
                quality_score=None if one.quality is None else round(one.quality, 4),
            )
            for one in found.providers
        ],
        start_date=window.start.isoformat(),
        end_date=window.end.isoformat(),
        timezone=window.timezone,
        data_through=instant(found.overview.data_through),
        coverage=coverage(found.overview),
    )


def coverage(found: Overview) -> Coverage:
    """How much of an overview's figures stands on what."""
    total = found.total
    return Coverage(
        priced=total.priced_runs / total.runs if total.runs else None,
        exact_usage=total.exact_runs / total.runs if total.runs else None,
        linked=found.linked,
    )


def get_predictive() -> Response:
    """The forecast of the next days, what is unusual now, and what would cost less."""
    organization = require_key("read").organization
    days = params.number("windowDays", 30, 1, 90)
    kind = params.choice("type", ("forecast", "alerts", "recommendations"))
    store, plan = context().store, context().settings.plan(organization.plan)
    ahead = outlook(store, organization, horizon=days)
    advice = recommendations(store, organization)
    body = shape.Predictive(
        success=True,
        forecast=_forecast(ahead, days),
        alerts=[
            shape.CostAlert(
                id=one.id,
                type=one.kind,  # type: ignore[arg-type]
                level=_LEVELS[one.severity],  # type: ignore[arg-type]
                severity=one.severity,  # type: ignore[arg-type]
                message=one.message,
                current_spend=dollars(one.current_nanos),
                threshold=dollars(one.threshold_nanos),
                created_at=moment(one.at),
                resolved=False,
            )
            for one in alerts(store, organization, plan, ahead)
        ],
        recommendations=[
            shape.RecommendationObject(
                type=one.kind,  # type: ignore[arg-type]
                description=one.text,
                estimated_savings=one.saved_nanos / NANOS,
                confidence=one.confidence,
            )
            if kind == "recommendations"
            else one.text
            for one in advice
        ],
        potential_savings=sum(one.saved_nanos for one in advice) / NANOS,
        timezone=organization.timezone,
        data_through=instant(ahead.data_through),
    )
    return json_answer(body)


def _forecast(ahead: Outlook, days: int) -> shape.PredictedCost:
    found = ahead.forecast
    month = found.total(30)
    mean = month.nanos / 30
    return shape.PredictedCost(
        projected_monthly_cost=month.nanos / NANOS,
        trend=found.trend,
        confidence=month.confidence,
        low80=month.low / NANOS,
        high80=month.high / NANOS,
        backtest_error=month.error,
        history_days=found.history,
        factors=list(found.factors),
        daily=[
            shape.ForecastDay(
                date=day.isoformat(),
                predicted_cost=cost / NANOS,
                confidence=month.confidence,
                factors=shape.ForecastFactors(
                    request_volume=round(cost / ahead.cost_a_run, 1)
                    if ahead.cost_a_run
                    else round(ahead.runs_a_day, 1),
                    avg_cost_per_request=ahead.cost_a_run / NANOS,
                    seasonal_adjustment=round(cost / mean, 4) if mean else 1.0,
                ),
            )
            for day, cost in found.days[:days]
        ],
    )


class CostQuestion(msgspec.Struct, rename="camel"):
    """What a prompt would cost with a model."""

    prompt: Annotated[str, msgspec.Meta(min_length=1)]
    model: Name
    provider: Name


def analyse_cost() -> Response:
    """The likely tokens and cost of a prompt, and what would make it cheaper. Nothing of the prompt is kept."""
    organization = require_key("read").organization
    asked = decode(json_body(), CostQuestion)
    provider, model = asked.provider.strip().lower(), asked.model.strip()
    tokens = tokens_of(asked.prompt)
    cost, output = estimate(context().store, organization, provider, model, tokens)
    advice = [one.text for one in recommendations(context().store, organization)]
    if cost is None:
        advice.insert(0, f"No price is known for {model}: set one with PUT /models/prices")
    body = shape.CostAnalysis(
        provider=provider,
        model=model,
        estimated_tokens=tokens,
        estimated_output_tokens=output,
        estimated_cost=dollars(cost),
        recommendations=advice,
        timestamp=moment(datetime.now(UTC)),
    )
    return json_answer(body)


def get_savings() -> Response:
    """What routing and caching saved in a period, against the models that were asked for."""
    organization = require_key("read").organization
    found = savings(context().store, organization, params.period(organization, default="30d"))
    caching = found.routed.cached_saved_nanos

    def group(sums: tuple[int, int, int]) -> dict[str, float]:
        return {"runs": sums[0], "cost": sums[1] / NANOS, "saved": sums[2] / NANOS}

    body = shape.SavingsAnswer(
        total=found.saved_nanos / NANOS,
        roi=savings_roi(found.saved_nanos, found.cost_nanos),
        cost=found.cost_nanos / NANOS,
        routing=(found.saved_nanos - caching) / NANOS,
        caching=caching / NANOS,
        cached_runs=found.routed.cached,
        routed_runs=found.routed.upgrades + found.routed.downgrades,
        daily_data=[shape.SavedDay(date=day.isoformat(), **group(sums)) for day, sums in found.days.items()],  # type: ignore[arg-type]
        by_model=[shape.SavedByModel(model=name, **group(sums)) for name, sums in found.models.items()],  # type: ignore[arg-type]
        by_provider=[shape.SavedByProvider(provider=name, **group(sums)) for name, sums in found.providers.items()],  # type: ignore[arg-type]
        start_date=found.window.start.isoformat(),
        end_date=found.window.end.isoformat(),
        timezone=found.window.timezone,
    )
    return json_answer(body)
