"""What people say of answers: kept with the model that gave them."""

from __future__ import annotations

from datetime import datetime

from costlens.domain.errors import NotFound
from costlens.services.routing import forget
from costlens.store import routing as routing_store
from costlens.store.engine import Store
from costlens.store.runs import get_runs


def add_feedback(
    store: Store,
    organization_id: int,
    *,
    run_id: int | None,
    original_model: str | None,
    selected_model: str | None,
    score: float | None,
    helpful: bool | None,
    comment: str | None,
    now: datetime,
) -> None:
    """Keeps a score of 0 to 1 for a run, or for a model. Raises NotFound for a run that is not there."""
    with store.write() as tx:
        provider = None
        if run_id is not None:
            run = get_runs(tx, organization_id, [run_id]).get(run_id)
            if run is None:
                raise NotFound("No such run", field="runId")
            provider, selected_model = run["provider"], run["model"]
            original_model = original_model or run["model_requested"]
        elif selected_model is not None:
            provider = routing_store.provider_of(tx, organization_id, selected_model)
        values = {
            "at": now,
            "run_id": run_id,
            "provider": provider,
            "original_model": original_model,
            "selected_model": selected_model,
            "score": score if score is not None or helpful is None else float(helpful),
            "helpful": helpful,
            "comment": comment,
        }
        routing_store.add_feedback(tx, organization_id, values)
    forget(store, organization_id)
