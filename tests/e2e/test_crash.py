"""kill -9 and a locked database: what was acknowledged is there once, and everything comes back by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.e2e.facts import code_run, write_snapshot
from tests.e2e.servers import Server, a_run, every_run, serving, wait_until


@pytest.fixture(scope="module")
def server(database: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("crash") / "data", **database) as started:
        yield started


@dataclass(slots=True)
class Callers:
    """Threads that post single runs and batches, and send again with the same ids what was not acknowledged."""

    server: Server
    key: str
    acknowledged: set[str] = field(default_factory=set)
    failures: int = 0
    wrong: list[str] = field(default_factory=list)  # answers that a caller must never see
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Callers:
        self.threads = [threading.Thread(target=self._post, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def _post(self, caller: int) -> None:
        with self.server.client(self.key, timeout=10) as client:
            for turn in range(100_000):
                if self.stopping.is_set():
                    return
                size = 1 if turn % 3 else 20
                bodies = [a_run(turn, requestId=f"{caller}-{turn}-{item}") for item in range(size)]
                self._send(client, bodies)

    def _send(self, client: httpx.Client, bodies: list[dict[str, Any]]) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if len(bodies) == 1:
                    answer = client.post("/integrations/run", json=bodies[0])
                else:
                    answer = client.post("/integrations/batch", json={"runs": bodies})
            except httpx.TransportError:
                self.failures += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged |= {body["requestId"] for body in bodies}
                return
            self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
            return
        self.wrong.append("no answer within 30 s")


def acknowledge_more(callers: Callers) -> None:
    """Until the callers have had a good number of further runs acknowledged."""
    before = len(callers.acknowledged)
    wait_until(lambda: len(callers.acknowledged) > before + 150, 30, callers.server.log)


def test_killed_web_processes_lose_nothing_acknowledged_and_store_nothing_twice(server: Server) -> None:
    key = server.organization("Web")
    with Callers(server, key) as callers:
        for _ in range(2):
            acknowledge_more(callers)
            worker = server.children(server.pid("web"))
            assert len(worker) == 1
            os.kill(worker[0], signal.SIGKILL)
            acknowledge_more(callers)
            os.kill(server.pid("web"), signal.SIGKILL)
            wait_until(lambda: server.log.count("web ended with -9"), 5, server.log)
        acknowledge_more(callers)
    assert not callers.wrong
    assert callers.failures, "no request was hit: the test shows nothing"

    with server.client(key) as client:
        stored = every_run(client)
        times = Counter(row["requestId"] for row in stored)
        assert set(times) == callers.acknowledged, "all were sent until acknowledged"
        assert set(times.values()) == {1}
        for row in stored:
            turn = int(row["requestId"].split("-")[1])
            assert row["tokensUsed"] == 1_000 + turn + 200
            assert row["cost"] > 0
        overview = client.get("/analytics/overview").json()
        assert overview["totalRuns"] == len(stored)
        assert overview["totalCost"] == pytest.approx(sum(row["cost"] for row in stored), abs=1e-9)
    assert "web: right" in server.check()
    assert len(server.children(server.pid("web"))) == 1


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
        wait_until(lambda: client.get("/readyz").json()["checks"]["queue"], 15, server.log)
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


def test_when_up_is_killed_everything_ends_and_the_next_start_has_the_data(server: Server) -> None:
    key = server.organization("Up")
    with Callers(server, key) as callers:
        acknowledge_more(callers)
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not server.pids(), 8, server.pids())
        server.start()
        acknowledge_more(callers)
    assert not callers.wrong
    with server.client(key) as client:
        assert Counter(row["requestId"] for row in every_run(client)) == Counter(callers.acknowledged)
    assert "up: right" in server.check()
    assert server.stop() == 0
    assert server.pids() == {}
