"""The real replay through the whole pipeline: HTTP batches, snapshot import, queue, worker, links, score.

    python -m benchmarks.replay DATA_DIR [--seeds 10] [--split 3]

Starts a server of its own in a temporary folder. For each seed it creates an organization, posts all runs through
POST /integrations/batch, imports the people, commits and the pull requests that the seed leaves visible (80 %), waits
for the worker, reads the links back over HTTP and scores them with the folder's own `score_linking.py`. With --split
each person has so many e-mail addresses: scored as they come, and again when every suggestion was confirmed over HTTP.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.linking import median_error, rows
from benchmarks.split_people import confirm_suggestions, split_facts, split_runs

DROPPED = "0.2"
BATCH = 200


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """`costlens up` on a free port; the address while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = (sys.executable, "-m", "costlens.cli", "up", "--port", str(port), "--data", str(data))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def costlens(data: Path, *arguments: str) -> dict[str, Any]:
    """One command with JSON output."""
    done = subprocess.run(
        (sys.executable, "-m", "costlens.cli", *arguments, "--json"),
        env={**os.environ, "COSTLENS_DATA": str(data)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pages(client: httpx.Client, path: str, name: str, **query: str) -> Iterator[dict[str, Any]]:
    """Every row of a paged route."""
    cursor: str | None = None
    while True:
        body = client.get(path, params=query | {"limit": "1000"} | ({"cursor": cursor} if cursor else {})).json()
        yield from body[name]
        cursor = body["nextCursor"]
        if cursor is None:
            return


def replay(folder: Path, data: Path, url: str, seed: int, addresses: int = 0) -> dict[str, Any]:
    """One seed: score, totals and times; `addresses` 0: people are who they are."""
    visible = data / f"visible-{seed}.jsonl"
    scorer = (sys.executable, str(folder / "score_linking.py"))
    drop = (*scorer, "drop", str(folder / "pulls.jsonl"), DROPPED, str(seed))
    visible.write_text(subprocess.run(drop, check=True, capture_output=True, text=True).stdout)
    name = f"replay-{seed}"
    made = costlens(data, "organization", "create", name, "--owner", "alice@example.com")
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {made['apiKey']}"}, timeout=60)

    started = time.perf_counter()
    lines = (folder / "runs.jsonl").read_text().splitlines()
    if addresses:
        lines = split_runs(lines, addresses)
    accepted = 0
    for start in range(0, len(lines), BATCH):
        content = '{"runs":[' + ",".join(lines[start : start + BATCH]) + "]}"
        answer = client.post("/integrations/batch", content=content, headers={"Content-Type": "application/json"})
        accepted += answer.json()["processed"]
    ingest_seconds = time.perf_counter() - started

    files = [folder / "people.jsonl", folder / "commits.jsonl", visible]
    if addresses:
        files = split_facts(folder, visible, data, addresses)
    costlens(data, "github", "import", "--organization", name, *map(str, files))
    started = time.perf_counter()
    wait_for_links(client, accepted)
    wait_seconds = time.perf_counter() - started

    before: dict[str, Any] = {}
    if addresses:
        first = scored(folder, data, client, visible, seed)
        admin = costlens(data, "key", "create", name, "--scopes", "read admin")["apiKey"]
        owner = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {admin}"}, timeout=60)
        before = {"precisionSplit": first["precision"], "recallSplit": first["recall"]}
        before["merges"] = confirm_suggestions(owner)
        costlens(data, "link", "--organization", name)  # what the worker has not done yet

    result = scored(folder, data, client, visible, seed)
    again = costlens(data, "link", "--organization", name)
    return (
        result
        | before
        | {
            "runs": accepted,
            "ingestSeconds": ingest_seconds,
            "waitSeconds": wait_seconds,
            "secondPassChanged": again["changed"],
            "linkSeconds": again["linkSeconds"],
            **ledger(client),
        }
    )


def scored(folder: Path, data: Path, client: httpx.Client, visible: Path, seed: int) -> dict[str, Any]:
    """What the folder's scorer says of the counted links."""
    scorer = (sys.executable, str(folder / "score_linking.py"))
    links = data / f"links-{seed}.jsonl"
    with links.open("w") as file:
        for link in pages(client, "/links", "links", state="counted"):
            if link["pullRequest"] is not None:
                row = {"requestId": link["requestId"], "pullRequest": link["pullRequest"], "share": link["share"]}
                file.write(json.dumps(row) + "\n")
    score = (*scorer, "score", str(folder / "answers.jsonl"), str(visible), str(links))
    result: dict[str, Any] = json.loads(subprocess.run(score, check=True, capture_output=True, text=True).stdout)
    result["medianError"] = median_error(rows(folder / "answers.jsonl"), visible, rows(links))
    return result


def wait_for_links(client: httpx.Client, runs: int, seconds: float = 120) -> None:
    """Until the worker has linked everything, and the links have held still for two looks."""
    deadline, last = time.monotonic() + seconds, -1
    while time.monotonic() < deadline:
        counted = sum(1 for _ in pages(client, "/links", "links"))
        if counted and counted == last:
            return
        last = counted
        time.sleep(2)
    raise SystemExit(f"{runs} runs were not linked within {seconds:g} s")


def ledger(client: httpx.Client) -> dict[str, Any]:
    """Total cost in dollars, and how far the ledger's buckets are from it in nano-dollars."""
    period = {"startDate": "2026-01-01", "endDate": "2026-02-28"}
    overview = client.get("/analytics/overview", params=period).json()
    spend = client.get("/roi/repositories", params=period).json()["total"]["spend"]
    buckets = ("counted", "suggested", "pending", "unlinked", "notCode")
    total = round(overview["totalCost"] * 10**9)
    return {"usd": overview["totalCost"], "offNanos": sum(round(spend[name] * 10**9) for name in buckets) - total}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument(
        "--split", type=int, default=0, metavar="N", help="people have N e-mail addresses each at first"
    )
    options = parser.parse_args()
    answers = [json.loads(line) for line in (options.folder / "answers.jsonl").read_text().splitlines()]
    expected = sum(row["usd"] for row in answers)
    rows = []
    with tempfile.TemporaryDirectory() as text, serving(Path(text)) as url:
        for seed in range(options.seeds):
            row = replay(options.folder, Path(text), url, seed, options.split)
            rows.append(row)
            print(
                f"seed {seed}: {json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})}",
                flush=True,
            )
    names = (
        *("precision", "recall", "dollarErrorPerPullRequest", "medianError"),
        *("linkSeconds", "ingestSeconds", "waitSeconds"),
    )
    for name in (*names, "precisionSplit", "recallSplit") if options.split else names:
        values = [row[name] for row in rows]
        print(f"{name}: mean {statistics.mean(values):.4f}, lowest {min(values):.4f}, highest {max(values):.4f}")
    print(f"cost: ${rows[0]['usd']:.6f}, the answers say ${expected:.6f} ({rows[0]['usd'] / expected - 1:+.2e})")
    print(f"ledger off by {max(abs(row['offNanos']) for row in rows)} nano-dollars")
    print(f"a second pass changed {sum(row['secondPassChanged'] for row in rows)} runs")


if __name__ == "__main__":
    main()
