"""kill -9 and a locked database: what was acknowledged is there once, and everything comes back by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.databases import database_setting
from tests.e2e.crashes import crash
from tests.e2e.facts import code_run, write_snapshot
from tests.e2e.servers import Server, a_run, every_run, serving, wait_until


@pytest.fixture(scope="module")
def server(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("crash") / "data", **database) as started:
        yield started


VICTIMS = ("web", "web worker", "worker", "job", "queue", "up")


def test_whatever_is_killed_under_load_nothing_acknowledged_is_lost_or_double_and_nothing_stays(
    engine: str, tmp_path: Path
) -> None:
    with database_setting(engine) as database:
        settings = {"COSTLENS_WEB_WORKERS": "2", **database}
        report = crash(tmp_path / "data", len(VICTIMS), seed=1, victims=VICTIMS, settings=settings)
    assert {kill.victim for kill in report.kills} == set(VICTIMS)
    assert report.retried, "no request was hit: the test shows nothing"
    assert report.linked == report.acknowledged


def test_a_worker_killed_while_it_links_comes_back_and_finishes(server: Server, tmp_path: Path) -> None:
    runs = 8_000
    key = server.organization("Linking")
    with server.client(key, timeout=60) as client:
        for start in range(0, runs, 1_000):
            bodies = [a_run(n, **code_run(1, n)) for n in range(start, start + 1_000)]
            assert client.post("/integrations/batch", json={"runs": bodies}).status_code == 200
        snapshot = write_snapshot(tmp_path / "pulls.jsonl", 1)
        with server.store() as store:
            count = text("SELECT count(*) FROM links WHERE valid_to IS NULL AND state = 'counted'")

            def linked() -> int:
                with store.read() as tx:
                    return int(tx.execute(count).scalar_one())

            server.answer("github", "import", "--organization", "Linking", str(snapshot))
            wait_until(linked, 20, server.log)
            old = server.pid("worker")
            family = [old, *server.children(old)]
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: not set(family) & set(server.pids()), 3, server.pids())
            assert 0 < linked() < runs, "the kill came too late: the test shows nothing"
            # The next run asks for the repository's links again; without it the sweeper does, half a minute later.
            assert client.post("/integrations/run", json=a_run(1, **code_run(1, runs))).status_code == 200
            wait_until(lambda: linked() == runs + 1, 60, server.log)
        assert client.get("/roi/repositories", params={"period": "7d"}).json()["total"]["mergedPullRequests"] == 1
    assert server.pid("worker") != old
    assert "linking: right" in server.check()


def test_a_killed_queue_does_not_stop_ingest_and_links_go_on_when_it_is_back(server: Server, tmp_path: Path) -> None:
    key = server.organization("Queue")
    with server.client(key) as client:
        old = server.pid("queue")
        os.kill(old, signal.SIGKILL)
        slowest = 0.0
        for number in range(20):
            started = time.monotonic()
            assert client.post("/integrations/run", json=a_run(number, **code_run(2, number))).status_code == 200
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 3
        wait_until(lambda: server.ready()["checks"]["queue"], 15, server.log)
        assert server.pid("queue") != old
        snapshot = write_snapshot(tmp_path / "pulls.jsonl", 2)
        server.answer("github", "import", "--organization", "Queue", str(snapshot))
        wait_until(lambda: len(client.get("/links").json()["links"]) == 20, 60, server.log)
    assert "queue: right" in server.check()


def test_a_database_that_another_process_locks_is_a_503_that_stored_nothing(server: Server) -> None:
    key = server.organization("Locked")
    bodies = [a_run(number) for number in range(3)]
    with server.client(key, timeout=60) as client:
        assert client.post("/integrations/run", json=a_run(100)).status_code == 200
        with server.store() as store, store.write() as tx:
            if store.dialect == "postgresql":  # which has no single writer that this would be
                tx.execute(text("LOCK TABLE runs IN EXCLUSIVE MODE"))
            answer = client.post("/integrations/batch", json={"runs": bodies})
            assert answer.status_code == 503, answer.text
            assert answer.headers["Retry-After"] == str(answer.json()["retryAfter"])
            assert answer.json()["code"] == "unavailable"
            assert [run["requestId"] for run in every_run(client)] == ["request-100"], "reading goes on"
        again = client.post("/integrations/batch", json={"runs": bodies}).json()
        assert [result["new"] for result in again["results"]] == [True, True, True]
    assert "locked: right" in server.check()
