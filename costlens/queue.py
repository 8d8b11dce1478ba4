"""The job queue: jobs are named by dotted path, so nothing that enqueues imports a worker.

The queue is a hint. When it is away, work goes on and a sweeper finds in the database what was missed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry, worker_registration
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.utils import as_text, now, utcparse

from costlens.domain.errors import Unavailable

QUEUE = "default"  # its name
CONNECT_SECONDS = 20
AWAY_SECONDS = 5  # how long a queue that is away is left alone
HEARTBEAT_SECONDS = 10  # how often a worker shows that it lives
ALIVE_SECONDS = 3 * HEARTBEAT_SECONDS
LINK_DELAY = timedelta(seconds=1)  # runs that come in meanwhile are linked by the same job
JOB_SECONDS = 900
REPRICE_SECONDS = 7_200
SYNC_SECONDS = 300  # a job of a walk ends by itself long before

# A job is there once by its id; what is done leaves nothing behind, what failed is kept to be looked at.
_KEPT: dict[str, Any] = {"unique": True, "result_ttl": 0, "failure_ttl": 7 * 86_400}

_ENDED = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobState:
    """A job that somebody waits for."""

    status: str  # waiting, running, failed; away: the queue does not answer
    told: Mapping[str, Any]  # what the job last told of itself


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs there are in each state."""

    waiting: int
    scheduled: int  # for a later moment
    running: int
    failed: int  # within a week


class JobQueue:
    """Enqueues jobs; never raises because of the queue."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._queue: Queue | None = None  # opened on first use
        self._asked: dict[tuple[int, int], int] = {}  # (organization, repository) → second of the last job
        self._away_until = 0.0

    def link_soon(self, organization_id: int, repository_id: int) -> bool:
        """Asks for one linking pass in a second, once a second however often it is called.

        The id names the second, so web processes agree on one job, and a failed or running one never stands in
        the way of the next. False: the queue is away.
        """
        key, second = (organization_id, repository_id), int(time.time())
        if self._asked.get(key) == second:
            return True
        asked = self._ask(
            lambda queue: queue.enqueue_in(
                LINK_DELAY,
                "workers.linking.link_repository",
                organization_id,
                repository_id,
                job_id=f"link-{organization_id}-{repository_id}-{second}",
                job_timeout=JOB_SECONDS,
                retry=Retry(max=3, interval=[5, 30, 120]),
                **_KEPT,
            )
        )
        if asked:
            self._asked[key] = second
        return asked

    def sync_soon(self, organization_id: int, source_id: int, wait: timedelta = timedelta(0)) -> bool:
        """Asks for the next pages of a repository of GitHub; one job for each moment. False: the queue is away."""
        name, arguments = "workers.sync.sync_repository", (organization_id, source_id)
        job = {"job_id": f"sync-{source_id}-{time.time_ns() // 100_000_000}", "job_timeout": SYNC_SECONDS, **_KEPT}
        if wait <= timedelta(0):
            return self._ask(lambda queue: queue.enqueue(name, *arguments, **job))
        return self._ask(lambda queue: queue.enqueue_in(wait, name, *arguments, **job))

    def run_soon(self, name: str, organization_id: int) -> bool:
        """Asks for a job for one organization, once a second however often it is called. False: the queue is away."""
        job_id = f"{name.replace('.', '-')}-{organization_id}-{int(time.time())}"
        return self._ask(
            lambda queue: queue.enqueue(name, organization_id, job_id=job_id, job_timeout=SYNC_SECONDS, **_KEPT)
        )

    def run_once(self, name: str, span: int, *, seconds: int, ttl: int) -> bool:
        """Asks for a job that runs once in this span of time, whoever asks for it.

        It may take `seconds`, and is forgotten when no worker was free for `ttl` seconds. False: the queue is away.
        """
        job_id = f"{name.replace('.', '-')}-{span}"
        return self._ask(lambda queue: queue.enqueue(name, job_id=job_id, job_timeout=seconds, ttl=ttl, **_KEPT))

    def begin(
        self, name: str, *arguments: Any, job_id: str, seconds: int, told: Mapping[str, Any] | None = None
    ) -> bool:
        """Asks for a job that somebody waits for; one of this id that waits or runs already is that job.

        It may take `seconds`; `told` is what is told of it from the beginning. One that failed makes room. False: the
        queue is away.
        """

        def enqueue(queue: Queue) -> None:
            earlier = queue.fetch_job(job_id)
            if earlier is not None and earlier.get_status() in _ENDED:
                earlier.delete()
            queue.enqueue(name, *arguments, job_id=job_id, job_timeout=seconds, meta=dict(told or {}), **_KEPT)

        return self._ask(enqueue)

    def state(self, job_id: str) -> JobState | None:
        """How far a job is. None: it is done, or nobody asked for it."""
        try:
            job = Job.fetch(job_id, connection=self._open().connection)
            status = job.get_status(refresh=False)
        except NoSuchJobError:
            return None
        except RedisError:
            return JobState("away", {})
        if status in _ENDED:
            return None if status is JobStatus.FINISHED else JobState("failed", job.meta)
        return JobState("running" if status is JobStatus.STARTED else "waiting", job.meta)

    def reprice_soon(self, organization_id: int, where: Mapping[str, Any], by: str) -> bool:
        """Asks for a repricing of these runs. False: the queue is away."""
        return self._ask(
            lambda queue: queue.enqueue(
                "workers.ledger.reprice_runs",
                organization_id,
                dict(where),
                by,
                job_timeout=REPRICE_SECONDS,
                result_ttl=0,
                failure_ttl=7 * 86_400,
            )
        )

    def _ask(self, enqueue: Callable[[Queue], object]) -> bool:
        if time.monotonic() < self._away_until:
            return False
        try:
            enqueue(self._open())
        except DuplicateJobError:
            pass  # waiting already: it will see these runs too
        except RedisError as error:
            if not self._away_until:  # once, not every few seconds as long as it is away
                _log.warning("queue away, the sweeper will catch up: %s", error)
            self._away_until = time.monotonic() + AWAY_SECONDS
            return False
        self._away_until = 0.0
        return True

    def workers(self) -> int | None:
        """How many workers have shown lately that they live. None: the queue is away."""
        try:
            connection = self._open().connection
            beats = (
                connection.hget(key, "last_heartbeat") for key in worker_registration.get_keys(connection=connection)
            )
            return sum(_is_alive(beat) for beat in beats)
        except RedisError:
            return None

    def counts(self) -> JobCounts | None:
        """How many jobs wait, run and have failed. None: the queue is away."""
        try:
            queue = self._open()
            later, running, failed = (
                registry.get_job_count(cleanup=False)
                for registry in (
                    queue.scheduled_job_registry,
                    queue.started_job_registry,
                    queue.failed_job_registry,
                )
            )
            return JobCounts(queue.count, later, running, failed)
        except RedisError:
            return None

    def _open(self) -> Queue:
        with self._lock:
            if self._queue is None:
                connection = Redis.from_url(self._url, socket_timeout=2, socket_connect_timeout=1)
                self._queue = Queue(QUEUE, connection=connection)
            return self._queue


def _is_alive(beat: bytes | str | None) -> bool:
    return beat is not None and now() - utcparse(as_text(beat)) < timedelta(seconds=ALIVE_SECONDS)


def connect(url: str) -> Redis:
    """A connection for a process that can do nothing without the queue, and waits for it. Raises Unavailable."""
    connection = Redis.from_url(url)
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            connection.ping()
        except RedisError as error:
            if time.monotonic() > deadline:
                raise Unavailable(f"The queue does not answer: {error}", retry_after=CONNECT_SECONDS) from error
            time.sleep(0.1)
        else:
            return connection
