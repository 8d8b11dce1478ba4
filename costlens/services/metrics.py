"""Figures of the server for whoever watches it: sums over all organizations, which tell of none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from costlens.queue import JobCounts, JobQueue
from costlens.store import server_state
from costlens.store.engine import Store
from costlens.store.rollup_check import last_check


@dataclass(frozen=True, slots=True)
class ServerFigures:
    organizations: int
    runs: int
    checked_at: datetime | None  # when the sums were last compared with the runs. None: never
    drift: int  # rows of sums that were wrong then
    sync: Mapping[str, int]  # repositories of GitHub by state
    oldest_sync: datetime | None  # None: none was read whole yet
    jobs: JobCounts | None  # None: the queue is away
    workers: int | None  # None: the queue is away


def server_figures(store: Store, queue: JobQueue) -> ServerFigures:
    """What is stored, what waits and what went wrong. Raises Unavailable when the database is away."""
    with store.read() as tx:
        checked_at, drift = last_check(tx)
        organizations, runs = server_state.count_organizations(tx), server_state.count_runs(tx)
        sync, oldest = server_state.sync_states(tx), server_state.oldest_sync(tx)
    return ServerFigures(
        organizations=organizations,
        runs=runs,
        checked_at=checked_at,
        drift=drift,
        sync=sync,
        oldest_sync=oldest,
        jobs=queue.counts(),
        workers=queue.workers(),
    )
