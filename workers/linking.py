"""Jobs that keep links right."""

from __future__ import annotations

from rq import get_current_job

from costlens.services import linking
from workers.context import opened

LOCK_SECONDS = 900


def link_repository(organization_id: int, repository_id: int) -> dict[str, int]:
    """One linking pass; one at a time for a repository, since a pass writes differences from what it read."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("link_repository runs as a job")
    name = f"costlens:link:{organization_id}:{repository_id}"
    with opened() as (store, queue), job.connection.lock(name, timeout=LOCK_SECONDS, blocking_timeout=LOCK_SECONDS):
        done = linking.link_repository(store, organization_id, repository_id)
        for other in sorted(done.elsewhere):
            queue.link_soon(organization_id, other)
    return {"runs": done.runs, "changed": done.changed}


def sweep() -> int:
    """Asks again for every pass that a lost job left undone; answers how many."""
    with opened() as (store, queue):
        missed = linking.waiting(store)
        for organization_id, repository_id in missed:
            queue.link_soon(organization_id, repository_id)
    return len(missed)


def age_pending() -> int:
    """Looks again at runs that have been pending for too long, so they become unlinked; answers how many passes."""
    with opened() as (store, _):
        repositories = linking.overdue(store)
        for organization_id, repository_id in repositories:
            linking.link_repository(store, organization_id, repository_id, full=True)
    return len(repositories)
