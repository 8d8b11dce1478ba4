"""Servers that benchmarks start: an instance of a checkout with a database and a data folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.postgres import postgres_database

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Instance:
    """A checkout and the data that its commands work on."""

    source: Path
    settings: dict[str, str]  # what its commands find in the environment

    @property
    def database_url(self) -> str:
        return self.settings.get("DATABASE_URL", f"sqlite:///{Path(self.settings['COSTLENS_DATA']) / 'costlens.db'}")


@contextmanager
def instance(source: Path, engine: str) -> Iterator[Instance]:
    """An instance with an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PYTHONPATH": str(source), "COSTLENS_DATA": folder}
        if engine == "sqlite":
            yield Instance(source, settings)
        else:
            with postgres_database(migrated=False) as url:
                # The tests' server does without; what is acknowledged here must be on the disk.
                with psycopg.connect(url, autocommit=True) as server:
                    server.execute("ALTER SYSTEM SET fsync = on")
                    server.execute("ALTER SYSTEM SET synchronous_commit = on")
                    server.execute("ALTER SYSTEM SET full_page_writes = on")
                    server.execute("SELECT pg_reload_conf()")
                yield Instance(source, settings | {"DATABASE_URL": url})


def command(one: Instance, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """A `costlens` command of an instance."""
    return subprocess.Popen(
        (sys.executable, "-m", "costlens.cli", *arguments),
        cwd=one.source,
        env={**os.environ, **one.settings, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def answer_of(one: Instance, *arguments: str) -> str:
    """What a command prints. Raises SystemExit when it fails."""
    process = command(one, *arguments)
    text = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"costlens {' '.join(arguments)} failed: {text}")
    return text


@contextmanager
def serving(one: Instance, workers: int) -> Iterator[tuple[int, int]]:
    """`costlens web` of an instance; its port and process id while it runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = command(one, "web", "--port", str(port), COSTLENS_WEB_WORKERS=str(workers))
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        time.sleep(1)  # the last worker is up too
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its living descendants so far (Linux; 0 elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_seconds, map(int, children)))
