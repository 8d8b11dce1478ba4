"""Durable runs per second: single runs over 64 connections, batches over 8, each acknowledged after its commit.

    python -m benchmarks.ingest [--seconds 4] [--rounds 2] [--workers 1 2] [--engine sqlite postgresql]
                                [--source DIR ...]

Starts a web server of its own on a new database for each round (PostgreSQL: the server that the tests start, with its
disk synchronized as in production); client and server share the machine's cores. With
several `--source` folders (checkouts of this project) each round measures every one of them, so their figures can be
compared. After each round the stored runs are counted against the acknowledged ones and `costlens db check` is asked.

The bodies: 200 people, 40 repositories with 25 branches each, 30 prompts, 4 models, 2,000 sessions, one to five files a
run, cache tokens, all within the last quarter hour; 8 shared keys of one organization.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import random
import selectors
import socket
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.instances import ROOT, Instance, answer_of, cpu_seconds, instance, serving
from tests.databases import ENGINES

LOADS = (("single runs", 1, 64), ("batches of 50", 50, 8), ("batches of 200", 200, 8))
MARK = b"#request#"
KEYS = 8
MODELS = (
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-4-5"),
    ("openai", "gpt-5.4"),
    ("openai", "gpt-4o"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    acknowledged: int  # runs
    refused: int  # answers other than 200
    seconds: float
    latencies: list[float]  # of each request, seconds, sorted
    server_seconds: float = 0.0  # CPU time of the server's processes

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def bodies(count: int = 2_000) -> list[bytes]:
    """Runs as JSON, with a mark where each request writes its own id."""
    rng = random.Random(1)
    made = []
    for number in range(count):
        provider, model = rng.choice(MODELS)
        repository = rng.randrange(40)
        tokens = rng.randrange(500, 50_000)
        body = {
            "provider": provider,
            "model": model,
            "inputTokens": tokens,
            "outputTokens": rng.randrange(50, 2_000),
            "cacheReadTokens": rng.randrange(0, tokens),
            "latency": rng.randrange(300, 20_000),
            "success": rng.random() > 0.02,
            "promptId": f"prompt-{rng.randrange(30)}-v1",
            "requestId": MARK.decode(),
            "sessionId": f"session-{number}",
            "repo": f"acme/repository-{repository}",
            "branch": f"feature/{rng.randrange(25)}",
            "actor": f"person{rng.randrange(200)}@example.com",
            "files": [f"src/module_{rng.randrange(300)}.py" for _ in range(rng.randrange(1, 6))],
            "tool": "claude-code",
        }
        made.append(json.dumps(body).encode())
    return made


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n".encode()
        self.started = 0.0
        self.received = b""

    def send(self, path: bytes, body: bytes) -> None:
        self.received = b""
        length = str(len(body)).encode()
        self.started = time.perf_counter()
        head = b"POST " + path + b" HTTP/1.1\r\n" + self.head
        self.socket.sendall(head + b"Content-Length: " + length + b"\r\n\r\n" + body)

    def answer(self) -> bytes | None:
        """The whole answer. None: a part of it is still on its way."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise SystemExit("the server closed a connection")
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return self.received if len(body) >= length else None


def load(port: int, keys: list[str], name: str, size: int, connections: int, seconds: float) -> Measured:
    """Posts runs for that long and waits for the last answers."""
    stock, number = bodies(), 0

    def body() -> bytes:
        nonlocal number
        runs = []
        for _ in range(size):
            number += 1
            runs.append(stock[number % len(stock)].replace(MARK, f"{name}-{number}".encode()))
        return runs[0] if size == 1 else b'{"runs":[' + b",".join(runs) + b"]}"

    path = b"/integrations/run" if size == 1 else b"/integrations/batch"
    poll = selectors.DefaultSelector()
    refused, latencies = 0, []
    started = time.perf_counter()
    for index in range(connections):
        connection = Connection(port, keys[index % len(keys)])
        poll.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(path, body())
    busy = connections
    while busy:
        for event, _ in poll.select(30):
            connection = event.data
            answer = connection.answer()
            if answer is None:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.started)
            refused += not answer.startswith(b"HTTP/1.1 200")
            if now - started < seconds:
                connection.send(path, body())
            else:
                busy -= 1
                poll.unregister(connection.socket)
                connection.socket.close()
    elapsed = time.perf_counter() - started
    return Measured((len(latencies) - refused) * size, refused, elapsed, sorted(latencies))


def offered(port: int, keys: list[str], name: str, rate: float, connections: int, seconds: float) -> Measured:
    """Posts single runs at this rate a second, whether answers come or not (an open loop).

    A run's latency counts from the moment at which it was due, also when all connections were busy then.
    """
    stock = bodies()
    poll = selectors.DefaultSelector()
    free = [Connection(port, keys[index % len(keys)]) for index in range(connections)]
    for connection in free:
        poll.register(connection.socket, selectors.EVENT_READ, connection)
    wanted, sent, refused, latencies = int(rate * seconds), 0, 0, []
    due: dict[Connection, float] = {}
    started = time.perf_counter()
    while len(latencies) < wanted:
        while free and sent < wanted and started + sent / rate <= time.perf_counter():
            connection = free.pop()
            due[connection] = started + sent / rate
            sent += 1
            connection.send(b"/integrations/run", stock[sent % len(stock)].replace(MARK, f"{name}-{sent}".encode()))
        wait = started + sent / rate - time.perf_counter() if free and sent < wanted else 30
        for event, _ in poll.select(max(0.0, wait)):
            connection = event.data
            answer = connection.answer()
            if answer is not None:
                latencies.append(time.perf_counter() - due.pop(connection))
                refused += not answer.startswith(b"HTTP/1.1 200")
                free.append(connection)
    elapsed = time.perf_counter() - started
    for connection in free:
        connection.socket.close()
    return Measured(len(latencies) - refused, refused, elapsed, sorted(latencies))


def _load(result: Any, work: Callable[..., Measured], *arguments: Any) -> None:
    result.send(work(*arguments))


def in_another_process(*arguments: Any, work: Callable[..., Measured] = load) -> Measured:
    """`load`, or other work, without the server's or this process's interpreter lock in the way."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_load, args=(sender, work, *arguments))
    process.start()
    sender.close()
    found: Measured = receiver.recv()
    process.join()
    return found


def measure(source: Path, engine: str, workers: int, seconds: float) -> list[Measured]:
    """One round on a new database: every load, then the proof that nothing acknowledged is missing."""
    with instance(source, engine) as one:
        answer_of(one, "db", "upgrade")
        answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")
        made = (answer_of(one, "key", "create", "Acme", "--name", f"{n}", "--json") for n in range(KEYS))
        keys = [json.loads(text)["apiKey"] for text in made]
        with serving(one, workers) as (port, pid):
            warm = in_another_process(port, keys, "warm", 50, 8, 0.5)
            found = []
            for name, size, lines in LOADS:
                before = cpu_seconds(pid)
                load_found = in_another_process(port, keys, name, size, lines, seconds)
                found.append(replace(load_found, server_seconds=cpu_seconds(pid) - before))
        acknowledged = warm.acknowledged + sum(load_found.acknowledged for load_found in found)
        stored = count(one)
        if stored != (acknowledged, acknowledged):
            raise SystemExit(f"{acknowledged} runs acknowledged, {stored[0]} stored with {stored[1]} ids")
        answer_of(one, "db", "check")
        return found


def count(one: Instance) -> tuple[int, int]:
    """(runs, request ids) in the database, asked past CostLens."""
    query = "SELECT count(*), count(DISTINCT request_id) FROM runs"
    if url := one.settings.get("DATABASE_URL"):
        with psycopg.connect(url) as server:
            found = server.execute(query).fetchone()
    else:
        with closing(sqlite3.connect(Path(one.settings["COSTLENS_DATA"]) / "costlens.db")) as database:
            found = database.execute(query).fetchone()
    assert found is not None
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["sqlite"])
    parser.add_argument("--source", type=Path, nargs="+", default=[ROOT])
    given = parser.parse_args()
    for engine, workers in product(given.engine, given.workers):
        found: dict[tuple[Path, str], list[Measured]] = {}
        for _ in range(given.rounds):
            for source in given.source:
                for load_of, one in zip(LOADS, measure(source, engine, workers, given.seconds), strict=True):
                    found.setdefault((source, load_of[0]), []).append(one)
        title = f"{engine}, {workers} web worker{'s' * (workers > 1)}, Python {platform.python_version()}"
        print(f"\n{title}; median of {given.rounds} rounds of {given.seconds:g} s")
        for (source, name), rounds in sorted(found.items(), key=lambda item: item[0][1]):
            rate = statistics.median(one.rate for one in rounds)
            low, high = min(one.rate for one in rounds), max(one.rate for one in rounds)
            half, most = (statistics.median(one.percentile(share) for one in rounds) for share in (0.5, 0.99))
            cost = statistics.median(1e6 * one.server_seconds / one.acknowledged for one in rounds)
            refused = sum(one.refused for one in rounds)
            print(
                f"{source.name:16} {name:15} {rate:8,.0f} runs/s ({low:,.0f} to {high:,.0f})"
                f"   p50 {half:7.1f} ms   p99 {most:7.1f} ms   {cost:5.0f} µs CPU/run   refused {refused}",
                flush=True,
            )
    print("\nEvery acknowledged run is stored once, and the sums are right.")


if __name__ == "__main__":
    main()
