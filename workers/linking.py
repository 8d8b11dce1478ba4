"""Jobs that keep links right."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError
from rq import get_current_job

from costlens.queue import JobQueue
from costlens.services import linking
from costlens.store.engine import Store
from workers.context import opened

LOCK_SECONDS = 10  # renewed while the pass runs; so long a killed job stands in the way of the next
WAIT_SECONDS = 600
TELL_SECONDS = 1.0  # how often at most a pass tells how far it is


def link_repository(organization_id: int, repository_id: int) -> dict[str, int]:
    """One linking pass."""
    with opened() as (store, queue):
        done = link_now(store, queue, organization_id, repository_id)
    return {"runs": done.runs, "changed": done.changed}


def sweep() -> int:
    """Makes up every pass that a lost job left undone; answers how many.

    It links by itself: RQ moves delayed jobs only some time after a queue or a worker was lost.
    """
    with opened() as (store, queue):
        missed = linking.waiting(store)
        for organization_id, repository_id in missed:
            link_now(store, queue, organization_id, repository_id)
    return len(missed)


def age_pending() -> int:
    """Looks again at runs that have been pending for too long, so they become unlinked; answers how many passes."""
    with opened() as (store, queue):
        repositories = linking.overdue(store)
        for organization_id, repository_id in repositories:
            link_now(store, queue, organization_id, repository_id)
    return len(repositories)


def link_now(store: Store, queue: JobQueue, organization_id: int, repository_id: int) -> linking.Pass:
    """One pass in this job, at a time for a repository, since a pass writes differences from what it read."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("linking jobs run in a worker")
    with alone(job.connection, f"costlens:link:{organization_id}:{repository_id}"):
        tell = _teller(store, organization_id, repository_id)
        done = linking.link_repository(store, organization_id, repository_id, progress=tell)
    for other in sorted(done.elsewhere):
        queue.link_soon(organization_id, other)
    return done


def _teller(store: Store, organization_id: int, repository_id: int) -> Callable[[int, int], None]:
    """Tells how far a pass over every run is, which its page counts in runs; other passes are over at once."""
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done < total and time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            linking.tell_progress(store, organization_id, repository_id, done)

    return tell


@contextmanager
def alone(connection: Redis, name: str, *, wait: float | None = None) -> Iterator[None]:
    """Holds the lock of this name as long as this process lives and works.

    Raises LockError when another holds it for `wait` seconds (none: ten minutes).
    """
    patience = WAIT_SECONDS if wait is None else wait
    lock = connection.lock(name, timeout=LOCK_SECONDS, blocking_timeout=patience, thread_local=False)
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LOCK_SECONDS / 3):
            try:
                lock.reacquire()
            except RedisError:  # the queue is away; a lock it lost meanwhile shows at the end
                continue

    with lock:
        renewer = threading.Thread(target=renew, daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()
