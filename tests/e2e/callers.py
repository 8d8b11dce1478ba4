"""Callers of a server that may die at any moment: what they send, what was acknowledged, and whether that is stored."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.servers import Server, a_run, every_run, wait_until

PATIENCE = 60  # seconds that a caller goes on trying

# The body of a run beside its ids, by its number.
Body = Callable[[int], dict[str, Any]]


@dataclass(slots=True)
class Callers:
    """Threads that post single runs and batches, and send again with the same ids what was not acknowledged.

    Now and then they also send again what was acknowledged, as a caller does whose answer was lost on the way.
    """

    server: Server
    key: str
    body: Body = a_run
    threads: int = 4
    pause: float = 0  # seconds after each request
    seed: int = 1
    acknowledged: set[str] = field(default_factory=set)
    retried: int = 0  # requests that were sent again for want of an answer
    repeated: int = 0  # runs that were sent again although they had been acknowledged
    wrong: list[str] = field(default_factory=list)  # answers that a caller must never see
    stopping: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Callers:
        self._running = [threading.Thread(target=self._post, args=(caller,)) for caller in range(self.threads)]
        for thread in self._running:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._running:
            thread.join(2 * PATIENCE)

    def more(self, count: int = 150, seconds: float = PATIENCE) -> None:
        """Returns when so many further runs have been acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + count or self.wrong, seconds, self.server.log)
        assert not self.wrong, self.wrong

    def check_stored(self) -> list[dict[str, Any]]:
        """The stored runs; raises AssertionError unless they are exactly the acknowledged ones, and summed up right."""
        assert not self.wrong, self.wrong
        with self.server.client(self.key, timeout=60) as client:
            stored = every_run(client)
            overview = client.get("/analytics/overview").json()
        times = Counter(row["requestId"] for row in stored)
        lost, double = self.acknowledged - set(times), {name for name, count in times.items() if count > 1}
        assert not lost, f"{len(lost)} acknowledged runs are lost: {sorted(lost)[:5]}"
        assert not double, f"{len(double)} runs are stored twice: {sorted(double)[:5]}"
        assert set(times) == self.acknowledged, "all were sent until acknowledged"
        for row in stored:
            sent = self.body(int(row["requestId"].split("-")[1]))
            assert row["tokensUsed"] == sent["inputTokens"] + sent["outputTokens"]
            assert row["cost"] > 0
        assert overview["totalRuns"] == len(stored)
        assert abs(overview["totalCost"] - sum(row["cost"] for row in stored)) < 1e-9 * len(stored)
        return stored

    def _post(self, caller: int) -> None:
        dice = random.Random(f"{self.seed} {caller}")
        with self.server.client(self.key, timeout=10) as client:
            turn = 0
            while not self.stopping.is_set():
                turn += 1
                size = 1 if turn % 3 else 20
                bodies = [self.body(turn) | {"requestId": f"{caller}-{turn}-{item}"} for item in range(size)]
                if self._send(client, bodies):
                    self.acknowledged |= {body["requestId"] for body in bodies}
                    if dice.random() < 0.05 and self._send(client, bodies, again=True):
                        self.repeated += size
                time.sleep(self.pause)

    def _send(self, client: httpx.Client, bodies: list[dict[str, Any]], *, again: bool = False) -> bool:
        """Whether it was acknowledged; tries until an answer comes."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if len(bodies) == 1:
                    answer = client.post("/integrations/run", json=bodies[0])
                else:
                    answer = client.post("/integrations/batch", json={"runs": bodies})
            except httpx.TransportError:
                self.retried += 1
                time.sleep(0.05)
                continue
            if answer.status_code != 200:
                self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
                return False
            if again and any(result["new"] for result in answer.json().get("results", ())):
                self.wrong.append(f"an acknowledged run was not known: {answer.text[:200]}")
            return True
        self.wrong.append(f"no answer within {PATIENCE} s")
        return False
