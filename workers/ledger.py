"""Jobs that keep sums right."""

from __future__ import annotations

from typing import Any

from rq import get_current_job

from costlens.services import verify
from costlens.services.repricing import reprice
from costlens.store.run_changes import Selection
from workers.context import opened
from workers.linking import alone


def verify_and_repair() -> dict[str, dict[str, int]]:
    """Compares the sums of the last days, and of some older ones, with the runs and repairs what differs.

    Answers the rows that differed by organization and rollup.
    """
    job = get_current_job()
    if job is None:
        raise RuntimeError("this job runs in a worker")
    with opened() as (store, _), alone(job.connection, "costlens:verify"):
        found = verify.check_nightly(store)
    return {slug: one.by_rollup for slug, one in found.items()}


def reprice_runs(organization_id: int, where: dict[str, Any], by: str) -> dict[str, int]:
    """Prices the selected runs anew and stores it; a second time changes nothing."""
    with opened() as (store, _):
        done = reprice(store, organization_id, Selection(**where), apply=True, by=by)
    return {"runs": done.runs, "changed": done.total.runs}
