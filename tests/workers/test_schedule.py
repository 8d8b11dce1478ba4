"""The periodic jobs: which there are, and when they are asked for."""

from __future__ import annotations

import importlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue

from costlens.queue import JobQueue
from tests.e2e.servers import queue_at, wait_until
from workers import schedule
from workers.schedule import PERIODIC, Periodic, ask

SWEEP = Periodic("workers.linking.sweep", timedelta(seconds=30), seconds=900)
NIGHTLY = Periodic("workers.linking.age_pending", timedelta(days=1), seconds=900, offset=timedelta(hours=3, minutes=17))


@pytest.mark.parametrize("job", PERIODIC, ids=lambda job: job.name)
def test_every_periodic_job_exists(job: Periodic) -> None:
    module, _, function = job.name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


def test_a_span_begins_every_thirty_seconds_or_at_a_time_of_the_day() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert [SWEEP.span(noon + timedelta(seconds=n)) - SWEEP.span(noon) for n in (-1, 0, 29, 30)] == [-1, 0, 0, 1]
    times = [(2, 0), (3, 16), (3, 17), (23, 59)]
    spans = [NIGHTLY.span(datetime(2026, 11, 24, *time, tzinfo=UTC)) for time in times]
    assert [span - spans[0] for span in spans] == [0, 0, 1, 1]
    assert NIGHTLY.span(datetime(2026, 11, 25, 3, 16, tzinfo=UTC)) == spans[-1]


def test_what_is_due_is_asked_for_at_once_and_again_in_the_next_span(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "ASK_SECONDS", 0.05)
    folder: Path = tmp_path_factory.mktemp("q")
    often = Periodic("workers.linking.sweep", timedelta(seconds=1), seconds=900)
    stopping = threading.Event()
    asking = threading.Thread(target=ask, args=(JobQueue(f"unix://{folder / 's'}"), (often, NIGHTLY), stopping))
    with queue_at(folder) as url, Redis.from_url(url) as connection:
        queue = Queue("default", connection=connection)
        asking.start()
        try:
            wait_until(lambda: len(queue.get_job_ids()) >= 4, 10)
        finally:
            stopping.set()
            asking.join(10)
        nightly = [name for name in queue.get_job_ids() if "age_pending" in name]
        assert nightly == [f"workers-linking-age_pending-{NIGHTLY.span(datetime.now(UTC))}"]
    assert not asking.is_alive()
