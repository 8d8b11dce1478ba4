"""How an organization routes: its settings, its providers with their keys, and what people say of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from costlens.domain.answer_quality import DEFAULT_THRESHOLD
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import put

METRICS = ("coherence", "completeness", "relevance")


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """As they are until somebody changes them."""

    routing_enabled: bool = True
    enforce_model: bool = False
    cache_enabled: bool = False  # the cache keeps answers, so it is for each organization to turn on
    quality_enabled: bool = False
    quality_threshold: float = DEFAULT_THRESHOLD
    quality_metrics: Sequence[str] = field(default=METRICS)


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    provider: str
    model: str | None  # None: any of the provider's
    weight: float
    min_quality: float
    enforce_model: bool
    routing_strategy: str
    enabled: bool


def routing_settings(tx: Tx, organization_id: int) -> RoutingSettings:
    """The settings, or the defaults."""
    row = tx.execute(select(t.routing_settings).where(t.routing_settings.c.organization_id == organization_id)).first()
    if row is None:
        return RoutingSettings()
    return RoutingSettings(**{name: row._mapping[name] for name in asdict(RoutingSettings())})


def put_routing_settings(tx: Tx, organization_id: int, settings: RoutingSettings) -> None:
    """Stores the settings."""
    values = asdict(settings) | {"quality_metrics": list(settings.quality_metrics)}
    put(tx, t.routing_settings, [{"organization_id": organization_id, **values}])


def provider_configs(tx: Tx, organization_id: int) -> list[ProviderConfig]:
    """In the order in which they were given."""
    column = t.provider_configs.c
    rows = tx.execute(
        select(t.provider_configs).where(column.organization_id == organization_id).order_by(column.position)
    )
    names = ProviderConfig.__dataclass_fields__
    return [ProviderConfig(**{name: row._mapping[name] for name in names}) for row in rows]


def put_provider_configs(tx: Tx, organization_id: int, configs: Sequence[ProviderConfig]) -> None:
    """Replaces all of them."""
    tx.execute(delete(t.provider_configs).where(t.provider_configs.c.organization_id == organization_id))
    rows = [
        {"organization_id": organization_id, "position": place, **asdict(config)}
        for place, config in enumerate(configs)
    ]
    if rows:
        tx.execute(insert(t.provider_configs), rows)


def provider_keys(tx: Tx, organization_id: int) -> Sequence[Any]:
    """Keys of providers by name of the provider; none of them can be read back."""
    key = t.provider_keys.c
    return tx.execute(
        select(key.id, key.provider, key.last_four, key.created_at, key.last_used_at)
        .where(key.organization_id == organization_id)
        .order_by(key.provider)
    ).all()


def put_provider_key(tx: Tx, organization_id: int, values: dict[str, Any]) -> None:
    """Stores the key of a provider in place of the one before."""
    key = t.provider_keys.c
    tx.execute(
        delete(t.provider_keys).where(key.organization_id == organization_id, key.provider == values["provider"])
    )
    tx.execute(insert(t.provider_keys).values(organization_id=organization_id, **values))


def add_feedback(tx: Tx, organization_id: int, values: dict[str, Any]) -> None:
    """Adds what somebody said of an answer."""
    tx.execute(insert(t.quality_feedback).values(organization_id=organization_id, **values))


def feedback_scores(
    tx: Tx, organization_id: int, since: datetime, until: datetime
) -> dict[tuple[str | None, str | None], tuple[float, int]]:
    """(sum of scores, how many) by provider and model; None: not known of which."""
    column = t.quality_feedback.c
    rows = tx.execute(
        select(column.provider, column.selected_model, func.sum(column.score), func.count())
        .where(column.organization_id == organization_id, column.at >= since, column.at < until)
        .where(column.score.is_not(None))
        .group_by(column.provider, column.selected_model)
    )
    return {(row[0], row[1]): (float(row[2]), int(row[3])) for row in rows}


def provider_of(tx: Tx, organization_id: int, model: str) -> str | None:
    """The provider that runs of a model named most lately. None: no run is of it."""
    r = t.rollup_15m.c
    found: str | None = tx.scalar(
        select(r.provider)
        .where(r.organization_id == organization_id, r.model == model)
        .order_by(r.bucket.desc())
        .limit(1)
    )
    return found
