"""How processes end: asked to, with every request answered; killed, with all that they started.

On one engine: where runs are kept has nothing to do with it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.servers import Server, a_run, every_run, serving, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "data", COSTLENS_WEB_WORKERS="2") as started:
        yield started


@dataclass(slots=True)
class Posting:
    """Clients that keep their connections, and what became of each of their requests."""

    server: Server
    key: str
    outcomes: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def post(self, caller: int) -> None:
        """Posts runs, every other caller in batches, until `stopping` is set."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        line = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            runs = [a_run(turn, requestId=f"{caller}-{turn}-{item}") for item in range(100 if caller % 2 else 1)]
            path, body = ("/integrations/batch", {"runs": runs}) if caller % 2 else ("/integrations/run", runs[0])
            begun = False
            try:
                line.request("POST", path, json.dumps(body), headers)
                answer = line.getresponse()
                begun = True
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                line.close()
                refused = isinstance(error, ConnectionRefusedError)
                self.outcomes["cut" if begun else "refused" if refused else "not begun"] += 1
                self.stopping.wait(0.01)
                continue
            self.outcomes[str(answer.status)] += 1
            if answer.status == 200:
                self.acknowledged |= {run["requestId"] for run in runs}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_answers_every_request_that_was_begun(server: Server, how: signal.Signals) -> None:
    key = server.organization()
    posting = Posting(server, key)
    threads = [threading.Thread(target=posting.post, args=(caller,)) for caller in range(12)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(posting.acknowledged) > 1_000, 30, server.log)
        assert server.stop(how) == 0
        assert server.pids() == {}
        wait_until(lambda: posting.outcomes["refused"] > 100, 10, posting.outcomes)
    finally:
        posting.stopping.set()
        for thread in threads:
            thread.join(30)
    assert set(posting.outcomes) <= {"200", "refused", "not begun"}, posting.outcomes

    server.start()
    with server.client(key) as client:
        stored = {row["requestId"] for row in every_run(client)}
    assert stored == posting.acknowledged, "whatever was stored was also answered"
    assert "acme: right" in server.check()


@pytest.mark.parametrize("name", ["web", "worker"])
def test_what_a_killed_process_started_ends_and_it_is_started_again(server: Server, name: str) -> None:
    old = server.pid(name)
    wait_until(lambda: server.children(old), 20, server.log)
    family = {old, *server.children(old)}
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not family & set(server.pids()), 5, server.pids)
    wait_until(lambda: server.all(name) and server.children(server.pid(name)), 20, server.log)
    assert f"{name} ended with -9; starting it again" in server.log


def test_a_start_right_after_up_was_killed_waits_for_what_is_left(server: Server) -> None:
    assert server.process is not None
    for _ in range(3):
        server.process.kill()
        server.process.wait()
        server.start()
    assert server.stop() == 0
    assert server.pids() == {}


def test_a_signal_while_it_starts_ends_it_in_order(server: Server) -> None:
    server.stop()
    for word in ("valkey-server", "costlens.cli db upgrade", "costlens.cli web"):
        before = len(server.log)
        server.launch()
        wait_until(lambda word=word: any(word in line for line in server.pids().values()), 20, server.log)
        assert server.stop() == 0
        assert server.log[before:].splitlines() == ["Stopped."]
        assert server.pids() == {}
