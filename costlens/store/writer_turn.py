"""Whose turn it is to write to a SQLite file, which has one writer at a time.

SQLite itself makes a second process sleep, longer each time, and lets whoever comes next go first: under load a
process waits for seconds while another writes on. Here threads of a process queue for a lock of their own, and the
first of each process for two file locks: one to be the next, one to write. The next one holds its place until the
writer is done, so two processes take turns. A lock ends with its process, however that ends.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

_PAUSE = 0.0003  # between two looks at a lock: a fraction of what a transaction takes


class WriterTurn:
    """The turn of one process at the database in this file (None or `:memory:`: no other process can come)."""

    def __init__(self, database: str | None) -> None:
        self._threads = threading.Lock()
        self._shared = database not in (None, "", ":memory:") and sys.platform != "win32"
        self._paths = Path(f"{database}-next"), Path(f"{database}-writer")
        self._files: list[IO[bytes]] = []  # next, writer; opened on first use

    def take(self, seconds: float) -> bool:
        """Waits for the turn; False: it did not come in time."""
        deadline = time.monotonic() + seconds
        if not self._threads.acquire(timeout=seconds):
            return False
        taken = False
        try:
            taken = not self._shared or self._take_file(deadline)
        finally:
            if not taken:
                self._threads.release()
        return taken

    def give_back(self) -> None:
        """Ends the turn."""
        if self._files:
            fcntl.flock(self._files[1], fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        """Closes the lock's files, which others go on using."""
        with self._threads:
            for file in self._files:
                file.close()
            self._files.clear()

    def _take_file(self, deadline: float) -> bool:
        if not self._files:
            self._files = [path.open("ab") for path in self._paths]
        following, writer = self._files
        if not _lock(following, deadline):
            return False
        try:
            return _lock(writer, deadline)
        finally:
            fcntl.flock(following, fcntl.LOCK_UN)


def _lock(file: IO[bytes], deadline: float) -> bool:
    """Looks again and again, since waiting in the kernel has no time limit."""
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
