"""kill -9 of one process after the other under load: what was acknowledged is there once, and nothing stays behind.

`benchmarks/crash.py` runs many rounds of it, `test_crash.py` a few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.callers import Callers
from tests.e2e.facts import code_run, write_snapshot
from tests.e2e.servers import COSTLENS, ROOT, Server, a_run, serving, wait_until

# What is killed: granian's main process, one of its workers, RQ's worker, the process it forked for a job, the one that
# moves due jobs into the queue, Valkey, the scheduler, and `costlens up` itself.
VICTIMS = ("web", "web worker", "worker", "job", "mover", "queue", "scheduler", "up")
PULLS = 20  # pull requests that the runs name; each round imports one more of them
LINK_SECONDS = 180  # a killed mover of due jobs keeps its lock for a minute; then the sweeper or the next one links


@dataclass(slots=True)
class Kill:
    """One round."""

    victim: str
    after: float  # seconds from the start of the round
    back: float  # seconds until another was in its place and everything worked again


@dataclass(slots=True)
class Report:
    """What the rounds did; none of it is wrong, or the rounds would have raised."""

    kills: list[Kill] = field(default_factory=list)
    acknowledged: int = 0
    retried: int = 0
    repeated: int = 0
    linked: int = 0
    link_seconds: float = 0  # from the last round until every run was linked


def code_body(number: int) -> dict[str, Any]:
    """A run that names one of the pull requests."""
    return a_run(number, **code_run(1 + number % PULLS, number))


def crash(
    data: Path,
    rounds: int,
    seed: int,
    *,
    victims: Sequence[str] = VICTIMS,
    pause: float = 0.1,
    settings: Mapping[str, str] | None = None,
    say: Callable[[Kill], None] = lambda _: None,
) -> Report:
    """Runs the rounds on a server of their own. Raises AssertionError on anything lost, double, wrong or left over.

    `pause` is what each caller waits after a request, in seconds.
    """
    dice = random.Random(seed)
    report = Report()
    with serving(data, **(settings or {})) as server:
        key = server.organization()
        with Callers(server, key, body=code_body, pause=pause, seed=seed) as callers:
            callers.more()
            for number, victim in zip(range(rounds), _orders(victims, dice), strict=False):
                with _importing(server, number):
                    report.kills.append(_round(server, callers, victim, dice))
                say(report.kills[-1])
        import_pulls(server, *range(1, PULLS + 1))
        started = time.monotonic()
        wait_until(lambda: linked(server, key) == len(callers.acknowledged), LINK_SECONDS, server.log)
        report.link_seconds = time.monotonic() - started
        stored = callers.check_stored()
        report.linked = sum(row["linkState"] == "counted" for row in stored)
        report.acknowledged, report.retried, report.repeated = len(stored), callers.retried, callers.repeated
        assert "acme: right" in server.check()
        assert server.stop() == 0
        assert server.pids() == {}
    return report


def _orders(victims: Sequence[str], dice: random.Random) -> Iterator[str]:
    """All of them in one order, then in another, and so on."""
    while True:
        yield from dice.sample(victims, len(victims))


def _round(server: Server, callers: Callers, victim: str, dice: random.Random) -> Kill:
    started = time.monotonic()
    time.sleep(dice.uniform(0, 1.5))
    there = _all_of(server, victim, 60)
    before = len(callers.acknowledged)
    target = dice.choice(there)
    os.kill(target, signal.SIGKILL)
    killed = time.monotonic()
    if victim == "up":
        assert server.process is not None
        server.process.wait()
        wait_until(lambda: not _of_the_group(server), 20, server.pids)
        server.start()
    if victim not in ("up", "job"):  # a job comes again when it is asked for
        wait_until(lambda: len(set(_all_of(server, victim)) - {target}) == len(there), 60, server.log)
    wait_until(lambda: all(_checks(server)), 60, server.log)
    back = time.monotonic()
    callers.more()
    with server.client(callers.key) as client:
        assert client.get("/analytics/overview").json()["totalRuns"] >= before, "acknowledged runs are lost"
    return Kill(victim, killed - started, back - killed)


def _all_of(server: Server, victim: str, seconds: float = 0) -> list[int]:
    """The victim's processes, waited for so long; a job's comes and goes."""
    found: list[int] = []

    def there() -> bool:
        found[:] = _processes(server, victim)
        return bool(found)

    if seconds:
        wait_until(there, seconds, lambda: f"no {victim}: {server.pids()}")
    else:
        there()
    return found


def _processes(server: Server, victim: str) -> list[int]:
    if victim == "up":
        return [server.process.pid] if server.process else []
    if victim == "web worker":
        return [child for parent in server.all("web") for child in server.children(parent)]
    if victim in ("job", "mover"):  # RQ puts a job's process into a group of its own
        forked = [child for parent in server.all("worker") for child in server.children(parent)]
        return [pid for pid in forked if (_group_of(pid) == pid) == (victim == "job")]
    return server.all(victim)


def _of_the_group(server: Server) -> dict[int, str]:
    """What `up` started, and not an import of ours, which is waited for where it was begun."""
    return {pid: line for pid, line in server.pids().items() if "github import" not in line}


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _checks(server: Server) -> list[bool | None]:
    try:
        return list(server.ready()["checks"].values())
    except httpx.TransportError:
        return [False]


@contextmanager
def _importing(server: Server, number: int) -> Iterator[None]:
    """Imports pull requests meanwhile, so that the worker links everything anew."""
    snapshot = write_snapshot(server.data.parent / f"pulls-{number}.jsonl", *range(1, 2 + number % PULLS))
    command = (*COSTLENS, "github", "import", str(snapshot))
    process = subprocess.Popen(
        command, env=server.environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        assert process.wait(60) == 0, server.log


def import_pulls(server: Server, *numbers: int) -> None:
    """Imports these pull requests of the repository that `code_run` names."""
    server.answer("github", "import", str(write_snapshot(server.data.parent / "pulls.jsonl", *numbers)))


def linked(server: Server, key: str) -> int:
    """How many runs have a counted link."""
    total, cursor = 0, None
    with server.client(key, timeout=60) as client:
        while True:
            where = {"limit": "1000", "state": "counted"} | ({"cursor": cursor} if cursor else {})
            body = client.get("/links", params=where).json()
            total += len(body["links"])
            cursor = body["nextCursor"]
            if cursor is None:
                return total
