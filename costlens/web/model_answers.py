"""Models with their prices as JSON and as files: the same for the API and for the page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from flask import Response

from costlens.domain.cache_savings import CacheSavings
from costlens.domain.pricing import RateCard
from costlens.domain.shown import NANOS, instant
from costlens.services.models import ModelReport, ModelUse
from costlens.store.organizations import Organization
from costlens.store.usage import TokenSums
from costlens.web.api.exports import export_answer
from costlens.web.shapes import prices as shape

PER_TOKEN = 1_000_000  # picos a token for a dollar a million
_CLASSES = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning")
_COLUMNS = (
    "provider",
    "model",
    "runs",
    "unpricedRuns",
    "cost",
    "share",
    "costPerThousandRuns",
    "tokens",
    "inputUncached",
    "cacheRead",
    "cacheWrite5m",
    "cacheWrite1h",
    "outputText",
    "outputReasoning",
    "successRate",
    "avgLatency",
    "cacheSaved",
    "priced",
    "priceSource",
    "priceVersion",
    "priceSince",
)


def models_answer(report: ModelReport, *, priced: bool | None = None) -> shape.Models:
    """All models, or those with or without a price."""
    window = report.window
    return shape.Models(
        models=[_model(one, report.total) for one in _chosen(report, priced)],
        total=shape.ModelSums(**_sums(report.total, report.total, report.savings)),
        unpriced=report.unpriced,
        days=window.days,
        start_date=window.start.isoformat(),
        end_date=window.end.isoformat(),
        timezone=window.timezone,
    )


def models_file(form: str, organization: Organization, report: ModelReport, *, priced: bool | None = None) -> Response:
    """A row for each model."""
    rows: list[dict[str, Any]] = [msgspec.to_builtins(_model(one, report.total)) for one in _chosen(report, priced)]
    if form == "csv":
        rows = [row | row["tokenCounts"] | {"cacheSaved": row["cache"]["saved"]} for row in rows]
    return export_answer(form, f"{organization.slug}-models", _COLUMNS, iter([rows]))


def rates_of(card: RateCard) -> shape.Rates:
    """A rate card in dollars for a million tokens."""
    mtok = [float(Decimal(rate) / card.divisor / PER_TOKEN) for rate in card.rates]
    return shape.Rates(
        input_uncached=mtok[0],
        cache_read=mtok[1],
        cache_write_5m=mtok[2],
        cache_write_1h=mtok[3],
        output_text=mtok[4],
        output_reasoning=mtok[5],
        per_run=float(Decimal(card.per_run) / card.divisor / 10**12),
    )


def _chosen(report: ModelReport, priced: bool | None) -> list[ModelUse]:
    return [one for one in report.models if priced is None or (one.card is not None) == priced]


def _model(one: ModelUse, total: TokenSums) -> shape.ModelShape:
    card = one.card
    return shape.ModelShape(
        provider=one.sums.provider,
        model=one.sums.model,
        priced=card is not None,
        own_price=one.own,
        rates=rates_of(card) if card else None,
        price_source=card.source if card else None,
        price_version=card.version if card else None,
        price_model=f"{card.provider}/{card.model}" if card else None,
        price_since=instant(card.valid_from) if card else None,
        **_sums(one.sums, total, one.savings),
    )


def _sums(sums: TokenSums, total: TokenSums, savings: CacheSavings | None) -> dict[str, Any]:
    cost = sums.cost_nanos / NANOS if sums.priced_runs else None
    return {
        "runs": sums.runs,
        "unpriced_runs": sums.runs - sums.priced_runs,
        "cost": cost,
        "share": sums.cost_nanos / total.cost_nanos if total.cost_nanos else None,
        "cost_per_thousand_runs": None if cost is None else 1000 * cost / sums.priced_runs,
        "tokens": sums.tokens,
        "token_counts": shape.TokenCounts(**{name: getattr(sums, name) for name in _CLASSES}),
        "success_rate": round(100 * sums.succeeded / sums.runs, 2) if sums.runs else 0.0,
        "avg_latency": round(sums.latency_ms / sums.timed_runs) if sums.timed_runs else 0,
        "cache": _cache(sums, savings),
    }


def _cache(sums: TokenSums, savings: CacheSavings | None) -> shape.CacheShape:
    return shape.CacheShape(
        cached_share=sums.cache_read / sums.input_tokens if sums.input_tokens else None,
        read_tokens=sums.cache_read,
        read_cost=savings.read_nanos / NANOS if savings else None,
        read_at_input_price=savings.read_full_nanos / NANOS if savings else None,
        written_tokens=sums.cache_write_5m + sums.cache_write_1h,
        written_cost=savings.written_nanos / NANOS if savings else None,
        written_at_input_price=savings.written_full_nanos / NANOS if savings else None,
        saved=savings.saved_nanos / NANOS if savings else None,
    )
