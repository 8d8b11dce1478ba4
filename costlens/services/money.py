"""The money of a stored run, from the prices and overrides of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from costlens.domain.pricing import Override, Price, price_run
from costlens.domain.usage import Usage
from costlens.store.engine import Tx
from costlens.store.organizations import price_overrides
from costlens.store.runs import usage_of


def own_prices(tx: Tx, organization_id: int) -> tuple[Override, ...]:
    """An organization's own prices."""
    return tuple(
        Override(row.provider, row.model, row.effective_from, row.alias_of, row.picos)
        for row in price_overrides(tx, organization_id)
    )


def money_of(row: Mapping[str, Any], overrides: Sequence[Override], usage: Usage | None = None) -> dict[str, Any]:
    """The money columns of a run whose other columns are known; a cost that the caller reported stands.

    `usage` is that of the row, for who has it at hand.
    """
    used = usage or usage_of(row)

    def price(model: str, reported: int | None) -> Price:
        return price_run(
            used,
            row["provider"],
            model,
            row["occurred_at"],
            processing=row["processing"],
            service_tier=row["service_tier"],
            reported_nanos=reported,
            overrides=overrides,
        )

    cost = price(row["model"], row["reported_cost_nanos"])
    if row["cache_hit"]:  # nothing was bought: what it would have cost was told with it
        baseline = row["baseline_cost_nanos"]
    else:
        baseline = price(row["model_requested"], None).list_cost_nanos if row["model_requested"] else None
    return {
        "cost_nanos": cost.cost_nanos,
        "list_cost_nanos": cost.list_cost_nanos,
        "baseline_cost_nanos": baseline,
        "cost_status": cost.status,
        "price_version": cost.version,
    }
