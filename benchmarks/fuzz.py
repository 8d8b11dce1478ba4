"""Whatever comes in, the API answers as it is described: no 5xx, nothing undocumented, memory flat.

    python -m benchmarks.fuzz [--bodies 20000] [--examples 50] [--seed 1] [--engine sqlite|postgresql]

1. schemathesis reads /openapi.json of a real server and tries every route: examples, edge cases, random values, and
   calls that follow each other by the description's links.
2. Random and mutated bodies on the routes that take runs, over 8 connections; every answer must be one that the
   description allows, and the web process must not grow. The sums are compared with the runs at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.instances import ROOT, Instance, answer_of, instance, serving
from tests.databases import ENGINES
from tests.e2e.servers import queue_at
from tests.e2e.test_api_description import CHECKS

ALLOWED = {200, 207, 400, 409, 413, 415}
LINES = 8
MANY = 100
ROUTES = ("/integrations/run", "/integrations/batch", "/api/integrations/run", "/integrations/import")
GOOD: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-5.4",
    "inputTokens": 1200,
    "outputTokens": 300,
    "cacheReadTokens": 100,
    "latency": 812.5,
    "success": True,
    "promptId": "greeting-v1",
    "requestId": "req_1",
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}},
    "metadata": {"repo": "acme/api", "branch": "feature/x", "actor": "alice", "files": ["a.py"]},
    "tags": {"a": "b"},
    "timestamp": "2026-01-05T10:00:00Z",
}
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**63, -(2**63), 10**40, "", " ", "\0", "\ud800", "x" * 600, "é\u202e",
    [], {}, [[]], {"": ""}, [None] * 60, {"a": {"b": {"c": []}}}, "2026-13-01", "9999-12-31T23:59:59Z", "NaN",
)  # fmt: skip


def odd_body(rng: random.Random) -> bytes:
    """A good run, or several, with something wrong here and there; or bytes that are no JSON at all."""
    kind = rng.random()
    if kind < 0.05:
        return rng.randbytes(rng.randrange(200))
    if kind < 0.08:
        return b"[" * rng.randrange(1, 20_000)
    body = _odd_run(rng)
    if kind < 0.4:
        runs: Any = [_odd_run(rng) for _ in range(rng.randrange(6))]
        body = {rng.choice(("runs", "requests", "items")): runs if rng.random() < 0.9 else rng.choice(ODD)}
    text = json.dumps(body, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        place = rng.randrange(len(text))
        text = text[:place] + rng.randbytes(rng.randrange(3)) + text[place + rng.randrange(3) :]
        text = text or b"{"
    return text


def _odd_run(rng: random.Random) -> Any:
    run = dict(GOOD) | {"requestId": f"req_{rng.randrange(10_000)}"}
    for name in rng.sample(sorted(run), rng.randrange(0, 8)):
        del run[name]
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        run[rng.choice(sorted(GOOD))] = rng.choice(ODD)
    return run if rng.random() < 0.97 else rng.choice(ODD)


def send(port: int, key: str, count: int, seed: int, found: Counter[tuple[str, int]], failed: list[bytes]) -> None:
    """Posts that many bodies over one connection."""
    rng = random.Random(seed)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(count):
        body, route = odd_body(rng), rng.choice(ROUTES)
        kind = "application/x-ndjson" if route.endswith("import") else "application/json"
        line.request("POST", route, body, headers | {"Content-Type": kind})
        answer = line.getresponse()
        text = answer.read()
        found[route, answer.status] += 1
        if answer.status not in ALLOWED or b"Traceback" in text:
            failed.append(body)


def kilobytes(pid: int) -> int:
    """Memory of a process and its children that is resident now."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(kilobytes(int(child)) for child in children)


def bodies(port: int, pid: int, key: str, count: int, seed: int) -> None:
    """The second part. Raises SystemExit when an answer is wrong or memory grows."""
    found: Counter[tuple[str, int]] = Counter()
    failed: list[bytes] = []
    sizes = []
    for part in range(4):
        threads = [
            threading.Thread(target=send, args=(port, key, count // 4 // LINES, seed + part * LINES + n, found, failed))
            for n in range(LINES)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sizes.append(kilobytes(pid))
    print(f"{sum(found.values()):,} bodies")
    for (route, status), times in sorted(found.items()):
        print(f"  {route:24} {status}  {times:7,}")
    print(f"memory of the web process after each quarter: {', '.join(f'{size / 1024:.1f} MiB' for size in sizes)}")
    if failed:
        raise SystemExit(f"{len(failed)} bodies were not answered as described, such as {failed[0][:300]!r}")
    if sizes[-1] > 1.1 * sizes[1] + 8 * 1024:
        raise SystemExit("the web process grew")


def describe(port: int, key: str, examples: int, seed: int) -> None:
    """The first part. Raises SystemExit when schemathesis finds something."""
    command = (
        *(str(Path(sys.executable).with_name("st")), "run", f"http://127.0.0.1:{port}/openapi.json"),
        *("-H", f"Authorization: Bearer {key}", "--seed", str(seed), "--max-examples", str(examples)),
        *("--phases", "examples,coverage,fuzzing,stateful", "--checks", ",".join(CHECKS)),
        *("--suppress-health-check", "all"),
    )
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(command, cwd=folder, check=False).returncode:
            raise SystemExit("an answer was not as described")


def new_organization(one: Instance) -> None:
    """An empty database with an organization of alice's."""
    answer_of(one, "db", "upgrade")
    answer_of(one, "organization", "create", "Acme", "--owner", "alice@example.com", "--json")


def key_of(one: Instance, *whose: str) -> str:
    """A key with all scopes; `whose` are further options of `costlens key create`."""
    made = answer_of(one, "key", "create", "Acme", "--name", "all", "--scopes", "ingest,read,admin", *whose, "--json")
    return str(json.loads(made)["apiKey"])


def out_of_reach(port: int, key: str) -> str:
    """The last of many keys of the same rights: what is tried revokes keys, and tries small ids first."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"name": "one of many", "scopes": ["ingest", "read", "admin"]})
    for _ in range(MANY):
        line.request("POST", "/api-keys", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        made = json.loads(line.getresponse().read())["apiKey"]
    return str(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        queue_at(Path(folder)) as redis,
        instance(ROOT, given.engine) as found,
    ):
        one = Instance(found.source, found.settings | {"REDIS_URL": redis})
        new_organization(one)
        owners = key_of(one, "--member", "alice@example.com")
        with serving(one, 1) as (port, pid):
            if given.examples:
                describe(port, out_of_reach(port, owners), given.examples, given.seed)
            bodies(port, pid, key_of(one), given.bodies, given.seed)
        print(answer_of(one, "db", "check").strip())


if __name__ == "__main__":
    main()
