"""Jobs that read GitHub: a few pages each, then they ask for the next one and end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from redis.exceptions import LockError
from rq import get_current_job

from costlens.config import load_settings
from costlens.services import github_connect, github_disconnect, github_hooks, github_walk
from costlens.services.github_access import github_of
from costlens.services.sealing import box
from costlens.services.sealing import reseal as reseal_all
from workers import linking
from workers.context import opened
from workers.linking import alone

AT_ONCE = 2  # repositories that the job of a webhook reads itself; more get jobs of their own
SOON = timedelta(seconds=45)  # a walk that goes on later than this is found by the sweep


def sync_repository(organization_id: int, source_id: int) -> dict[str, int]:
    """The next pages of a repository, unless another worker is at it."""
    with opened() as (store, queue), only_one(f"costlens:sync:{source_id}") as mine:
        if not mine:
            return {"pages": 0}
        done = github_walk.advance(store, github_of(load_settings()), organization_id, source_id)
    for repository_id in sorted(done.changed):
        if done.wait is None or not done.first:  # what it brought is linked without waiting for another job
            linking.link_repository(organization_id, repository_id)
        else:
            queue.link_soon(organization_id, repository_id)
    if done.changed:
        queue.link_soon(organization_id, 0)  # runs that named no repository may be named by what was read
    if done.wait is not None and done.wait <= SOON:
        queue.sync_soon(organization_id, source_id, done.wait)
    return {"pages": done.pages}


def sweep() -> int:
    """Asks for a job for everything that is due: walks, lists, deliveries, disconnecting; answers how many walks."""
    now = datetime.now(UTC)
    with opened() as (store, queue):
        due = github_walk.due(store, now)
        for organization_id, source_id in due:
            queue.sync_soon(organization_id, source_id)
        for organization_id in github_connect.lists_due(store, now):
            queue.run_soon("workers.sync.list_repositories", organization_id)
        for organization_id in github_hooks.waiting(store):
            queue.run_soon("workers.sync.process_deliveries", organization_id)
        for organization_id in github_disconnect.departing(store):
            queue.run_soon("workers.sync.disconnect", organization_id)
    return len(due)


def disconnect(organization_id: int) -> bool:
    """Goes on deleting what was read through a connection that is gone; answers whether something is left.

    What is left waits for the sweep, so that other jobs have their turn.
    """
    with opened() as (store, _), only_one(f"costlens:disconnect:{organization_id}") as mine:
        return mine and github_disconnect.go_on(store, organization_id)


def list_repositories(organization_id: int) -> int:
    """Asks GitHub what the connection may read; answers how many repositories."""
    with opened() as (store, _), only_one(f"costlens:list:{organization_id}") as mine:
        return github_connect.refresh(store, github_of(load_settings()), organization_id) if mine else 0


def process_deliveries(organization_id: int) -> int:
    """Makes the walks due that webhooks hint at; answers how many deliveries."""
    with opened() as (store, queue):
        done = github_hooks.process(store, organization_id)
        for source_id in done.sources[AT_ONCE:]:
            queue.sync_soon(organization_id, source_id)
        if done.list_due:
            queue.run_soon("workers.sync.list_repositories", organization_id)
    for source_id in done.sources[:AT_ONCE]:
        sync_repository(organization_id, source_id)
    return done.deliveries


def redeliver() -> int:
    """Asks GitHub for what its webhooks did not get through; answers how many events."""
    with opened() as (store, _):
        return github_hooks.redeliver_failures(store, github_of(load_settings()))


def reseal() -> int:
    """Seals every stored secret with the newest key, and forgets old deliveries; answers how many secrets."""
    with opened() as (store, _):
        github_hooks.forget_old(store)
        return reseal_all(store, box(load_settings()))


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether this job is the only one of this name. A second one ends at once instead of waiting."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("sync jobs run in a worker")
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(job.connection, name, wait=0))
            mine = True
        except LockError:
            mine = False
        yield mine
