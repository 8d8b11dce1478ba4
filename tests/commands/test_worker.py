"""`costlens worker`: it shows that it lives, and takes over from one that was killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from costlens import queue as queue_module
from costlens.queue import JobQueue
from tests.e2e.servers import COSTLENS, ROOT, environment, queue_at, wait_until


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with queue_at(tmp_path_factory.mktemp("q")) as address:
        yield address


@contextmanager
def working(data: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, killed at the end."""
    process = subprocess.Popen((*COSTLENS, "worker"), env=environment(data, REDIS_URL=url), cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_worker_is_seen_as_long_as_it_shows_that_it_lives(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobQueue(url)
    assert queue.workers() == 0
    with working(tmp_path, url):
        wait_until(lambda: queue.workers() == 1, 20)
    monkeypatch.setattr(queue_module, "ALIVE_SECONDS", 1)
    wait_until(lambda: queue.workers() == 0, 5)


def test_due_jobs_are_moved_soon_after_a_worker_was_killed(tmp_path: Path, url: str) -> None:
    with Redis.from_url(url) as connection:
        queue = Queue("default", connection=connection)
        for _ in range(2):
            job = queue.enqueue_in(timedelta(seconds=1), "time.sleep", 0)
            with working(tmp_path, url):
                # RQ's lock of a killed mover lasts a minute.
                wait_until(lambda job=job: job.is_finished, 30)


# A worker that looks after each job whether its mover lives, and says so when it starts one.
EAGER = """
from rq.scheduler import RQScheduler
from costlens.commands import worker
worker.MAINTENANCE_SECONDS = 0
RQScheduler.start = lambda mover: print("a mover is started")
worker.worker(["--burst"])
"""


def test_a_burst_starts_no_mover_that_it_would_wait_for(tmp_path: Path, url: str) -> None:
    with Redis.from_url(url) as connection:
        jobs = [Queue("default", connection=connection).enqueue("time.sleep", 0) for _ in range(2)]
        environs = environment(tmp_path, REDIS_URL=url)
        done = subprocess.run(
            (sys.executable, "-c", EAGER),
            env=environs,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert all(job.is_finished for job in jobs)
