"""Copies a SQLite file's log into the file beside the writers, so that none of them has to wait for much of it.

SQLite lets the commit that fills the log copy all of it: every so often a commit takes many times as long as the
others, and whoever waits for it too. Here a thread copies meanwhile, and brings to the disk what was copied. The commit
at which the log begins anew then finds little left to do. Should the thread be gone, that commit does all of it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import closing

EVERY = 32  # transactions of a process: about 16 MiB of log when they are groups of runs

_log = logging.getLogger(__name__)
_files: dict[str, int] = {}  # path → descriptor. Never closed: to close any of a file ends SQLite's locks on it.


class Checkpoints:
    """The copying of one process for one database file."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._process = os.getpid()
        self._written = 0
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None  # begun when it is first needed
        self._ended = False

    def written(self) -> None:
        """To be called after each commit."""
        self._written += 1  # a lost count does no harm
        if self._written < EVERY:
            return
        self._written = 0
        if os.getpid() != self._process:
            return  # a fork, which may have come while a lock of these was held: its commits do it themselves
        if self._thread is None or not self._thread.is_alive():
            self._begin()
        self._due.set()

    def close(self) -> None:
        """Ends the thread."""
        with self._lock:
            self._ended = True
            thread = self._thread
        if thread is not None:
            self._due.set()
            thread.join()

    def _begin(self) -> None:
        with self._lock:
            if not self._ended and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._database, isolation_level=None)) as connection:
            while True:
                self._due.wait()
                self._due.clear()
                if self._ended:
                    return
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    _sync(self._database)
                except (sqlite3.Error, OSError) as error:
                    _log.warning("the log was not copied, a commit will do it: %s", error)


def _sync(path: str) -> None:
    """Brings what was written to a file to the disk."""
    if path not in _files:
        _files[path] = os.open(path, os.O_RDONLY)
    os.fsync(_files[path])
