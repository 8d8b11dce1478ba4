"""Streaming of GET /runs and GET /links: rows per second, growth of the web worker, and what others feel meanwhile.

    python -m benchmarks.export [--runs 300000] [--engine sqlite|postgresql]

Fills a new database, starts a web server on it and
reads each list to its end as CSV and as NDJSON over one connection. Meanwhile another connection posts single runs one
after the other; their latencies are shown beside those of a server that does nothing else. Every row is counted.

The data: one organization, runs evenly over a year, 200 people, 40 repositories of 25 branches, 30 prompts, 4 models;
half of the runs linked to one of 100 pull requests a repository.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks.ingest import MARK, MODELS, bodies
from benchmarks.instances import ROOT, answer_of, instance, serving
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.organizations import find_organization
from tests.databases import ENGINES

REPOSITORIES, PULLS, PEOPLE, BRANCHES, PROMPTS = 40, 100, 200, 25, 30
CHUNK = 10_000
LISTS = (("/runs", "csv"), ("/runs", "ndjson"), ("/links", "csv"), ("/links", "ndjson"))


def fill(url: str, count: int) -> None:
    """Stores that many runs, half of them with a link; straight into the tables, without their sums."""
    store = Store(url)
    with store.read() as tx:
        found = find_organization(tx, "acme")
    assert found is not None
    rng = random.Random(1)
    now = datetime.now(UTC)
    step = timedelta(days=365) / count
    with store.write() as tx:
        repositories = [repository(tx, found.id, number, now) for number in range(REPOSITORIES)]
        for start in range(0, count, CHUNK):
            runs, links = [], []
            for n in range(start, min(start + CHUNK, count)):
                repository_id, pulls = rng.choice(repositories)
                pull = rng.choice(pulls) if n % 2 else None
                row = run(rng, found.id, count - n, now - n * step, repository_id, pull)
                runs.append(row)
                if pull is not None:
                    links.append(link(row, pull))
            tx.execute(insert(t.runs), runs)
            if links:
                tx.execute(insert(t.links), links)
    if store.dialect == "postgresql":
        with store.write() as tx:
            tx.exec_driver_sql("ANALYZE")  # what it does by itself after a while
    store.close()


def repository(tx: Tx, organization_id: int, number: int, now: datetime) -> tuple[int, list[int]]:
    """Id of a new repository, and the ids of its pull requests."""
    common = {"organization_id": organization_id, "created_at": now}
    made = tx.execute(insert(t.repositories).values(name=f"acme/repository-{number}", **common))
    repository_id = made.inserted_primary_key[0]
    pulls = []
    for pull in range(1, PULLS + 1):
        row = {"repository_id": repository_id, "number": pull, "outcome": "merged", "labels": [], **common}
        title = f"Change {pull} of what repository {number} does, and why"
        pulls.append(tx.execute(insert(t.pull_requests).values(title=title, **row)).inserted_primary_key[0])
    return repository_id, pulls


def run(
    rng: random.Random, organization_id: int, number: int, at: datetime, repository_id: int, pull: int | None
) -> dict[str, Any]:
    """A run as it is stored; its id is in the order of time."""
    provider, model = rng.choice(MODELS)
    return {
        "id": number << 22,
        "organization_id": organization_id,
        "request_id": f"request-{number}",
        "session_id": f"session-{number // 5}",
        "source": "api",
        "received_at": at,
        "occurred_at": at,
        "actor": f"person{rng.randrange(PEOPLE)}@example.com",
        "provider": provider,
        "model": model,
        "prompt_id": f"prompt-{rng.randrange(PROMPTS)}-v1",
        "prompt_version": "v1",
        "tool": "claude-code",
        "code": True,
        "repository_id": repository_id,
        "branch": f"feature/{rng.randrange(BRANCHES)}",
        "files": [f"src/module_{rng.randrange(300)}.py"],
        "input_uncached": rng.randrange(500, 50_000),
        "cache_read": rng.randrange(50_000),
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "output_text": rng.randrange(50, 2_000),
        "output_reasoning": 0,
        "usage_quality": "exact",
        "cost_nanos": rng.randrange(10**6, 10**9),
        "cost_status": "priced",
        "success": True,
        "latency_ms": rng.randrange(300, 20_000),
        "link_state": "counted" if pull else "unlinked",
        "unlinked_reason": None if pull else "no_candidate",
        "linked_at": at,
    }


def link(run: dict[str, Any], pull: int) -> dict[str, Any]:
    """A counted link of a run."""
    return {
        "organization_id": run["organization_id"],
        "run_id": run["id"],
        "repository_id": run["repository_id"],
        "pull_request_id": pull,
        "rule": "B1",
        "confidence": 900,
        "state": "counted",
        "cost_nanos": run["cost_nanos"],
        "ruleset": 1,
        "evidence": {"rule": "B1", "matched": run["branch"], "targetField": "headRef", "confidence": 900},
        "valid_from": run["occurred_at"],
    }


@dataclass(slots=True)
class Others:
    """What another caller feels: latencies of single runs, posted one after the other, in milliseconds."""

    port: int
    key: str
    name: str
    latencies: list[float] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def post(self) -> None:
        stock = bodies()
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        while not self.stopped.wait(0.02):
            number = len(self.latencies)
            body = stock[number % len(stock)].replace(MARK, f"{self.name}-{number}".encode())
            started = time.perf_counter()
            connection.request("POST", "/integrations/run", body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"a run was refused with {answer.status}")
            self.latencies.append(1000 * (time.perf_counter() - started))

    def shown(self) -> str:
        found = sorted(self.latencies)
        return f"{found[len(found) // 2]:.0f} / {found[int(0.99 * len(found))]:.0f} ms"


@contextmanager
def others(port: int, key: str, name: str) -> Iterator[Others]:
    """Another caller at work."""
    found = Others(port, key, name)
    thread = threading.Thread(target=found.post)
    thread.start()
    try:
        yield found
    finally:
        found.stopped.set()
        thread.join()


def stream(port: int, key: str, path: str, form: str, worker: int) -> tuple[int, int, float, float, float]:
    """Reads a list to its end: lines, bytes, seconds, seconds to the first part, and growth of the worker in MiB."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    before = most = memory(worker)
    lines = size = parts = 0
    started = time.perf_counter()
    connection.request("GET", f"{path}?format={form}", headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    first = time.perf_counter() - started
    while part := answer.read1(1 << 20):
        lines += part.count(b"\n")
        size += len(part)
        parts += 1
        if not parts % 50:
            most = max(most, memory(worker))
    return lines, size, time.perf_counter() - started, first, max(most, memory(worker)) - before


def memory(process: int) -> float:
    """Resident memory of a process in MiB (Linux)."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300_000)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    given = parser.parse_args()
    with instance(ROOT, given.engine) as one:
        made = answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")
        key = json.loads(made)["apiKey"]
        fill(one.database_url, given.runs)
        with serving(one, 1) as (port, parent):
            worker = int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
            with others(port, key, "alone") as alone:
                time.sleep(5)
            print(f"{given.runs:,} runs on {given.engine}; single runs alone p50 / p99 {alone.shown()}")
            stored = given.runs + len(alone.latencies)
            for path, form in LISTS:
                with others(port, key, f"{path}-{form}") as meanwhile:
                    lines, size, seconds, first, growth = stream(port, key, path, form, worker)
                rows = lines - (form == "csv")
                at_least = stored if path == "/runs" else given.runs // 2
                if not at_least <= rows <= at_least + len(meanwhile.latencies):
                    raise SystemExit(f"{at_least} rows were there, {rows} came")
                stored += len(meanwhile.latencies)
                print(
                    f"{path:6} {form:6} {rows:9,} rows {size / 2**20:7.1f} MiB {rows / seconds:8,.0f} rows/s"
                    f"   first part after {1000 * first:4.0f} ms   worker {growth:+5.1f} to {memory(worker):5.1f} MiB"
                    f"   single runs meanwhile p50 / p99 {meanwhile.shown()}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
