"""What a caller waits for who asks before each call of a model, and how long tracking takes under load, over HTTP.

    python -m benchmarks.api [--seconds 4] [--rounds 3] [--workers 2] [--engine sqlite postgresql]

POST /integrations/run comes over 64 connections, each asking again at once (a closed loop), and then at 500 and 1,000
runs a second, whether answers come or not (an open loop: what callers wait for whose number the server does not slow
down); the others over 8, on an organization with 20,000 runs of 12 models
and its cache on. A server of its own with a Redis of its own; client and server share the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import selectors
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.ingest import Connection, Measured, bodies, in_another_process, offered
from benchmarks.instances import ROOT, Instance, answer_of, cpu_seconds, instance, serving
from tests.databases import ENGINES
from tests.e2e.servers import queue_at

LINES = 8
OFFERED = (500, 1_000)  # runs a second
PROMPTS = (
    "Summarize this research paper about the migration of birds in three sentences.",
    "Write a function that parses ISO dates and returns None for anything else. " * 6,
    "Why does this query need a full scan? Compare two indexes and their trade-offs. " * 12,
)
Body = Callable[[random.Random], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of request."""

    name: str
    path: str
    body: Body | None  # None: a GET


def _question(number: int) -> dict[str, object]:
    messages = [{"role": "user", "content": f"{PROMPTS[number % 3]} #{number}"}]
    return {"provider": "openai", "model": "gpt-5.4", "messages": messages}


def _entry(rng: random.Random) -> dict[str, object]:
    answer = {"choices": [{"message": {"role": "assistant", "content": "x" * 800}}]}
    return _question(rng.randrange(500)) | {"response": answer, "tokens": 300, "cost": 0.002, "ttl": 3600}


LOADS = (
    Load("GET /quality/routing", "/quality/routing", None),
    Load(
        "POST /quality/routing",
        "/quality/routing",
        lambda rng: {"prompt": rng.choice(PROMPTS), "options": {"maxCost": 0.05}},
    ),
    Load(
        "POST /routing/context-aware",
        "/routing/context-aware",
        lambda rng: {"prompt": rng.choice(PROMPTS), "preferences": {"priority": "cost", "maxLatencyMs": 9000}},
    ),
    Load("POST /cache/set", "/cache/set", _entry),
    Load("POST /cache/get, nothing kept", "/cache/get", lambda rng: _question(1_000 + rng.randrange(10_000))),
    Load("POST /cache/get, a hit (a run is stored)", "/cache/get", lambda rng: _question(rng.randrange(500))),
)


def load(port: int, key: str, wanted: int, seconds: float) -> Measured:
    """Sends one of LOADS for that long over LINES connections."""
    kind, rng = LOADS[wanted], random.Random(wanted)
    poll = selectors.DefaultSelector()
    latencies: list[float] = []
    refused = 0

    def send(line: Connection) -> None:
        if kind.body is not None:
            line.send(kind.path.encode(), json.dumps(kind.body(rng)).encode())
            return
        line.received = b""
        line.started = time.perf_counter()
        line.socket.sendall(b"GET " + kind.path.encode() + b" HTTP/1.1\r\n" + line.head + b"\r\n")

    started = time.perf_counter()
    for _ in range(LINES):
        line = Connection(port, key)
        poll.register(line.socket, selectors.EVENT_READ, line)
        send(line)
    busy = LINES
    while busy:
        for event, _ in poll.select(30):
            line = event.data
            answer = line.answer()
            if answer is None:
                continue
            now = time.perf_counter()
            latencies.append(now - line.started)
            refused += not answer.startswith(b"HTTP/1.1 200")
            if now - started < seconds:
                send(line)
            else:
                busy -= 1
                poll.unregister(line.socket)
                line.socket.close()
    return Measured(len(latencies) - refused, refused, time.perf_counter() - started, sorted(latencies))


def fill(port: int, key: str) -> None:
    """20,000 runs of 12 models, and 500 kept answers."""
    rng = random.Random(1)
    models = [f"gpt-5.4-{n}" for n in range(8)] + ["gpt-5.4", "gpt-5.4-mini", "gpt-4o", "gpt-4o-mini"]
    stock = [json.loads(body) for body in bodies(2_000)]
    line = Connection(port, key)

    def post(path: bytes, body: object) -> None:
        line.send(path, json.dumps(body).encode())
        while (answer := line.answer()) is None:
            continue
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(answer.decode()[:500])

    for part in range(40):
        runs = [
            run | {"requestId": f"fill-{part}-{n}", "provider": "openai", "model": rng.choice(models)}
            for n, run in enumerate(rng.sample(stock, 500))
        ]
        post(b"/integrations/batch", {"runs": runs})
    line.socket.sendall(b"PUT /cache/settings HTTP/1.1\r\n" + line.head + b'Content-Length: 16\r\n\r\n{"enabled":true}')
    line.received = b""
    while line.answer() is None:
        continue
    for number in range(500):
        post(b"/cache/set", _entry(rng) | _question(number))
    line.socket.close()


def measure(engine: str, workers: int, seconds: float) -> dict[str, Measured]:
    """One round on a new database."""
    with tempfile.TemporaryDirectory() as folder, queue_at(Path(folder)) as redis, instance(ROOT, engine) as one:
        shared = Instance(one.source, one.settings | {"REDIS_URL": redis})
        answer_of(shared, "db", "upgrade")
        answer_of(shared, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")
        made = answer_of(shared, "key", "create", "Acme", "--name", "all", "--scopes", "ingest,read,admin", "--json")
        key = json.loads(made)["apiKey"]
        with serving(shared, workers) as (port, pid):
            fill(port, key)
            time.sleep(1.5)  # every worker reads its key anew
            found = {}
            for place, kind in enumerate(LOADS):
                in_another_process(port, key, place, 0.5, work=load)  # warm
                before = cpu_seconds(pid)
                one_load = in_another_process(port, key, place, seconds, work=load)
                found[kind.name] = replace(one_load, server_seconds=cpu_seconds(pid) - before)
            before = cpu_seconds(pid)
            tracked = in_another_process(port, [key], "api", 1, 64, seconds)
            found["POST /integrations/run, 64 connections"] = replace(tracked, server_seconds=cpu_seconds(pid) - before)
            for rate in OFFERED:
                before = cpu_seconds(pid)
                tracked = in_another_process(port, [key], f"at-{rate}", rate, 64, seconds, work=offered)
                found[f"the same, {rate:,} runs/s offered"] = replace(tracked, server_seconds=cpu_seconds(pid) - before)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["sqlite"])
    given = parser.parse_args()
    for engine in given.engine:
        rounds = [measure(engine, given.workers, given.seconds) for _ in range(given.rounds)]
        title = f"{engine}, {given.workers} web workers, Python {platform.python_version()}"
        print(f"\n{title}; median of {given.rounds} rounds")
        for name in rounds[0]:
            every = [one[name] for one in rounds]
            half, most = (statistics.median(one.percentile(share) for one in every) for share in (0.5, 0.99))
            rate = statistics.median(one.rate for one in every)
            cost = statistics.median(1e6 * one.server_seconds / one.acknowledged for one in every)
            refused = sum(one.refused for one in every)
            print(
                f"{name:42} {rate:8,.0f}/s   p50 {half:6.1f} ms   p99 {most:6.1f} ms   {cost:6.0f} µs CPU"
                f"   refused {refused}",
                flush=True,
            )


if __name__ == "__main__":
    main()
