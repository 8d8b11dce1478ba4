"""`costlens web`: the web application and the API, served by granian."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal

import click
from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from costlens.commands.up import host_option, port_option
from costlens.config import load_settings
from costlens.factory import create_app
from costlens.processes import end_with_parent

# Of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _ARENA_MAX = -1, -2, -8


@click.command()
@host_option
@port_option
def web(host: str, port: int) -> None:
    """Serve the web application and the API."""
    settings = load_settings()
    _share_memory()
    Granian(
        "costlens.commands.web:serving_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=settings.web_workers,
        blocking_threads=32,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        websockets=False,
        log_level=LogLevels.error,
    ).serve()


def _share_memory() -> None:
    """Lets all threads of the workers take memory from one place, and keep a little that is free.

    To be called before there is a second thread: then glibc has not yet decided.

    glibc gives threads places of their own, so that they do not wait for each other. These wait for the interpreter
    anyway, and each found its own place cold and gave it back to the system again and again.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's; others have no such places
        for option, value in ((_ARENA_MAX, 1), (_TRIM_THRESHOLD, 32 << 20), (_TOP_PAD, 1 << 20)):
            libc.mallopt(option, value)


def serving_app() -> Flask:
    """The application in a web worker process, which must not outlive the process that watches it.

    The worker is forked from that one, so what it loads here is loaded already.
    """
    # Until granian sets its own, a worker has the handler of the process it was forked from, which would not end it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with_parent(parent.pid)
    app = create_app()
    # What the application is made of lives as long as the process: collections need not look at it again and again.
    gc.collect()
    gc.freeze()
    return app
