"""The queue as those see it who ask for jobs, and as a worker waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from redis import Redis
from rq import Queue

from costlens import queue as queue_module
from costlens.domain.errors import Unavailable
from costlens.queue import JobQueue, connect
from tests.e2e.servers import queue_at

AWAY = "unix:///nonexistent/queue.sock"


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with queue_at(tmp_path_factory.mktemp("q")) as address:
        yield address


def waiting(url: str) -> list[str]:
    with Redis.from_url(url) as connection:
        return Queue("default", connection=connection).get_job_ids()


def test_a_job_is_asked_for_once_in_a_span_whoever_asks(url: str) -> None:
    first, second = JobQueue(url), JobQueue(url)
    assert all(queue.run_once("workers.linking.sweep", 7, seconds=900, ttl=30) for queue in (first, second, first))
    assert first.run_once("workers.linking.sweep", 8, seconds=900, ttl=30)
    assert first.run_once("workers.linking.age_pending", 7, seconds=900, ttl=30)
    assert waiting(url) == ["workers-linking-sweep-7", "workers-linking-sweep-8", "workers-linking-age_pending-7"]


def test_a_periodic_job_that_no_worker_takes_is_forgotten(url: str) -> None:
    JobQueue(url).run_once("workers.linking.sweep", 7, seconds=900, ttl=30)
    with Redis.from_url(url) as connection:
        assert 0 < connection.ttl("rq:job:workers-linking-sweep-7") <= 30


def test_a_queue_that_is_away_has_no_workers_to_tell_of_and_takes_no_job(url: str) -> None:
    assert JobQueue(url).workers() == 0
    assert JobQueue(AWAY).workers() is None
    assert JobQueue(AWAY).run_once("workers.linking.sweep", 7, seconds=900, ttl=30) is False


def test_a_queue_that_stays_away_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue_module, "AWAY_SECONDS", 0)
    queue = JobQueue(AWAY)
    assert [queue.link_soon(1, number) for number in range(3)] == [False] * 3
    assert [record.message.partition(":")[0] for record in caplog.records] == ["queue away, the sweeper will catch up"]


def test_who_needs_the_queue_waits_for_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("q")
    with ExitStack() as stack:
        later = threading.Timer(0.3, lambda: stack.enter_context(queue_at(folder)))
        later.start()
        with connect(f"unix://{folder / 's'}") as connection:
            assert connection.ping()
        later.join()


def test_who_needs_a_queue_that_stays_away_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "CONNECT_SECONDS", 0.2)
    with pytest.raises(Unavailable, match="The queue does not answer: Error"):
        connect(AWAY)
