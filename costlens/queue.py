"""The job queue: jobs are named by dotted path, so nothing that enqueues imports a worker.

The queue is a hint. When it is away, work goes on and a sweeper finds in the database what was missed.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError

LINK_DELAY = timedelta(seconds=1)  # runs that come in meanwhile are linked by the same job
JOB_SECONDS = 900

_log = logging.getLogger(__name__)


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
        name = f"link-{organization_id}-{repository_id}-{second}"
        asked = self._enqueue("workers.linking.link_repository", organization_id, repository_id, job_id=name)
        if asked:
            self._asked[key] = second
        return asked

    def _enqueue(self, name: str, *args: object, job_id: str) -> bool:
        if time.monotonic() < self._away_until:
            return False
        try:
            self._open().enqueue_in(
                LINK_DELAY,
                name,
                *args,
                job_id=job_id,
                unique=True,
                job_timeout=JOB_SECONDS,
                result_ttl=0,
                failure_ttl=7 * 86_400,
                retry=Retry(max=3, interval=[5, 30, 120]),
            )
        except DuplicateJobError:
            return True  # waiting already: it will see these runs too
        except RedisError as error:
            self._away_until = time.monotonic() + 5
            _log.warning("queue away, the sweeper will catch up: %s", error)
            return False
        return True

    def ping(self) -> bool:
        """Whether the queue answers."""
        try:
            return bool(self._open().connection.ping())
        except RedisError:
            return False

    def _open(self) -> Queue:
        with self._lock:
            if self._queue is None:
                connection = Redis.from_url(self._url, socket_timeout=2, socket_connect_timeout=1)
                self._queue = Queue("default", connection=connection)
            return self._queue
