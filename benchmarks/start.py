"""Time from `costlens up` until /readyz answers 200, and the memory of all its processes when nothing happens.

    python -m benchmarks.start [--rounds 5] [--workers 1 2] [--idle 8] [--source DIR ...]

Each round starts an empty folder, stores 200 runs in it, and starts it again after a clean stop. Memory is the
proportional set size (PSS), which counts a page that several processes share once among them; it is read after `--idle`
seconds without a request, and in the empty folder once more after the runs. CPU time is that of all processes until the
first of these. With several `--source` folders (checkouts of this project) each round measures every one of them, so
their figures can be compared. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
PROC = Path("/proc")
PARTS = ("up", "queue", "web", "web worker", "worker", "worker's child", "scheduler")


@dataclass(frozen=True, slots=True)
class Started:
    """One start."""

    seconds: float  # until /readyz answered 200
    cpu_seconds: float  # of all processes, with those that have ended, until the memory was read
    memory: dict[str, float]  # MiB of PSS by part of the group
    used: float | None  # MiB of PSS after the first runs; None: not measured


def environment(source: Path, data: Path, workers: int) -> dict[str, str]:
    """The settings of one server, and the checkout it comes from."""
    ours = {"PYTHONPATH": str(source), "COSTLENS_DATA": str(data), "COSTLENS_WEB_WORKERS": str(workers)}
    return {**os.environ, **ours}


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for thread in (PROC / str(pid) / "task").glob("*"):
        for child in (thread / "children").read_text().split():
            found += family(int(child))
    return found


def part(pid: int, parents: dict[int, int]) -> str:
    """What a process of the group is: `up`, a child of it by its command, or a child of that."""
    line = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    if "valkey-server" in line:
        return "queue"
    name = line.split("costlens.cli ")[1].split()[0]
    if (
        name in ("web", "worker")
        and f"costlens.cli {name} " in (PROC / str(parents[pid]) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    ):
        return "web worker" if name == "web" else "worker's child"
    return name


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def measure(group: int) -> tuple[float, dict[str, float]]:
    """CPU seconds and MiB of PSS by part of a group that is alive."""
    pids = family(group)
    parents = {pid: int(stat(pid)[1]) for pid in pids}
    memory: dict[str, float] = defaultdict(float)
    ticks = 0
    for pid in pids:
        ticks += sum(int(field) for field in stat(pid)[11:15])  # its own, and of children that have ended
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
        memory[part(pid, parents)] += int(found[1]) / 1024 if found else 0
    return ticks / os.sysconf("SC_CLK_TCK"), dict(memory)


def ready(port: int) -> bool:
    """Whether /readyz answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
            line.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return line.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start(source: Path, data: Path, workers: int, idle: float, *, fill: bool) -> Started:
    """Starts the group, measures it, and stops it; with `fill` it is measured again after an owner and 200 runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = (sys.executable, "-m", "costlens.cli", "up", "--port", str(port), "--data", str(data))
    settings = environment(source, data, workers)
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=source, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise SystemExit(f"{source}: the server did not start")
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        time.sleep(idle)
        cpu, memory = measure(process.pid)
        used = None
        if fill:
            store_runs(source, settings, port)
            time.sleep(idle)
            used = sum(measure(process.pid)[1].values())
        return Started(seconds, cpu, memory, used)
    finally:
        process.terminate()
        process.wait(60)


def store_runs(source: Path, settings: dict[str, str], port: int) -> None:
    """An owner, and 200 runs."""
    create = ("organization", "create", "Acme", "--owner", "alice@example.com", "--json")
    done = subprocess.run(
        (sys.executable, "-m", "costlens.cli", *create), cwd=source, env=settings, capture_output=True, check=True
    )
    run = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1_000, "outputTokens": 200, "latency": 800}
    runs = [run | {"success": True, "requestId": f"request-{number}", "repo": "acme/api"} for number in range(200)]
    answer = httpx.post(
        f"http://127.0.0.1:{port}/integrations/batch",
        json={"runs": runs},
        headers={"Authorization": f"Bearer {json.loads(done.stdout)['apiKey']}"},
        timeout=30,
        trust_env=False,
    )
    answer.raise_for_status()


def show(name: str, starts: list[Started]) -> None:
    """One line of times and one of memory."""
    times = sorted(one.seconds for one in starts)
    cpu = statistics.median(one.cpu_seconds for one in starts)
    total = statistics.median(sum(one.memory.values()) for one in starts)
    print(f"{name}  {statistics.median(times):5.2f} s ({times[0]:.2f} to {times[-1]:.2f})   CPU {cpu:.2f} s", end="")
    parts = ((part, statistics.median(one.memory.get(part, 0) for one in starts)) for part in PARTS)
    print(f"   PSS {total:4.0f} MiB: " + ", ".join(f"{part} {size:.0f}" for part, size in parts if size), end="")
    used = [one.used for one in starts if one.used is not None]
    print(f"; {statistics.median(used):.0f} after 200 runs" if used else "", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--idle", type=float, default=8)
    parser.add_argument("--source", type=Path, nargs="+", default=[ROOT])
    given = parser.parse_args()
    for workers in given.workers:
        found: dict[tuple[str, Path], list[Started]] = defaultdict(list)
        for _ in range(given.rounds):
            for source in given.source:
                with tempfile.TemporaryDirectory() as folder:
                    for name, fill in (("empty folder", True), ("existing data", False)):
                        one = start(source, Path(folder) / "data", workers, given.idle, fill=fill)
                        found[name, source].append(one)
        print(f"\n{workers} web worker{'s' * (workers > 1)}; median of {given.rounds} starts (least to most)")
        for (name, source), starts in sorted(found.items()):
            show(f"{source.resolve().name:14} {name:14}", starts)


if __name__ == "__main__":
    main()
