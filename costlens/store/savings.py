"""What routing and caching saved, how runs were routed, and the record of each model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, text

from costlens.store import tables as t
from costlens.store.analytics import values_of
from costlens.store.engine import Tx


def saved_by(tx: Tx, organization_id: int, dimension: str, first: date, last: date) -> dict[Any, tuple[int, int, int]]:
    """(runs, cost, saved) in nano-dollars by the values of a dimension, over days of the organization's own zone."""
    r = t.rollup_dimension.c
    rows = tx.execute(
        select(r.value, func.sum(r.runs), func.sum(r.cost_nanos), func.sum(r.saved_nanos))
        .where(r.organization_id == organization_id, r.dimension == dimension, r.day >= first, r.day <= last)
        .where(r.value.in_(select(values_of(organization_id, dimension).c.value)))
        .group_by(r.value)
    )
    return {row[0]: (int(row[1]), int(row[2]), int(row[3])) for row in rows}


def saved_by_day(tx: Tx, organization_id: int, first: date, last: date) -> dict[date, tuple[int, int, int]]:
    """(runs, cost, saved) by day."""
    r = t.rollup_dimension.c
    rows = tx.execute(
        select(r.day, func.sum(r.runs), func.sum(r.cost_nanos), func.sum(r.saved_nanos))
        .where(r.organization_id == organization_id, r.dimension == "provider", r.day >= first, r.day <= last)
        .group_by(r.value, r.day)  # as the primary key goes: by day alone SQLite reads every dimension
    )
    found: dict[date, tuple[int, int, int]] = {}
    for row in rows:
        before = found.get(row.day, (0, 0, 0))
        found[row.day] = (before[0] + int(row[1]), before[1] + int(row[2]), before[2] + int(row[3]))
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Routed:
    """Runs of which another model had been asked for, and cached answers."""

    upgrades: int  # a model that is not cheaper than the one asked for, or whose price is not known
    downgrades: int
    cached: int
    cached_saved_nanos: int


def routed(tx: Tx, organization_id: int, since: datetime, until: datetime) -> Routed:
    """How runs of a span were routed; there is an index of just those runs."""
    run = t.runs.c
    price = func.coalesce(run.list_cost_nanos, run.cost_nanos)
    rows = tx.execute(
        select(
            run.cache_hit,
            (price < run.baseline_cost_nanos).label("cheaper"),
            func.count(),
            func.coalesce(func.sum(run.baseline_cost_nanos), 0),
        )
        .where(run.organization_id == organization_id, run.occurred_at >= since, run.occurred_at < until)
        .where(text("(runs.model_requested IS NOT NULL OR runs.cache_hit)"))  # word for word as the index says
        .group_by(run.cache_hit, "cheaper")
    ).all()
    cached = [row for row in rows if row.cache_hit]
    others = [row for row in rows if not row.cache_hit]
    return Routed(
        upgrades=sum(int(row[2]) for row in others if not row.cheaper),
        downgrades=sum(int(row[2]) for row in others if row.cheaper),
        cached=sum(int(row[2]) for row in cached),
        cached_saved_nanos=sum(int(row[3]) for row in cached),
    )


@dataclass(frozen=True, slots=True)
class ModelSums:
    """What runs of one model add up to."""

    provider: str
    model: str
    runs: int
    succeeded: int
    priced_runs: int
    cost_nanos: int
    input_tokens: int
    cached_tokens: int  # of the input
    output_tokens: int
    latency_ms: int  # summed over timed_runs
    timed_runs: int


def model_sums(tx: Tx, organization_id: int, since: datetime) -> list[ModelSums]:
    """Sums of each model since a quarter hour, the dearest first."""
    r = t.rollup_15m.c
    read = r.input_uncached + r.cache_read + r.cache_write_5m + r.cache_write_1h
    measures = (
        r.runs, r.succeeded, r.priced_runs, r.cost_nanos, read, r.cache_read, r.output_text + r.output_reasoning,
        r.latency_ms, r.timed_runs,
    )  # fmt: skip
    rows = tx.execute(
        select(r.provider, r.model, *(func.sum(measure) for measure in measures))
        .where(r.organization_id == organization_id, r.bucket >= since)
        .group_by(r.provider, r.model)
    )
    found = [ModelSums(row[0], row[1], *map(int, row[2:])) for row in rows]
    return sorted((one for one in found if one.runs > 0), key=lambda one: (-one.cost_nanos, one.provider, one.model))


def latency_steps(tx: Tx, organization_id: int, since: datetime) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """(step of the latency histogram, runs) by provider and model since a quarter hour."""
    r = t.rollup_latency.c
    rows = tx.execute(
        select(r.provider, r.model, r.step, func.sum(r.runs))
        .where(r.organization_id == organization_id, r.bucket >= since)
        .group_by(r.provider, r.model, r.step)
        .order_by(r.step)
    )
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault((row[0], row[1]), []).append((int(row[2]), int(row[3])))
    return found
