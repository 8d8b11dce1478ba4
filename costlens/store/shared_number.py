"""A number that every process of one machine sees change at once, without asking anybody."""

from __future__ import annotations

import mmap
import os
import sys
import threading
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_SIZE = 8


class SharedNumber:
    """A counter in mapped memory of a small file; `path` None: seen by this process only.

    Reading takes a fraction of a microsecond. The file is made on first use and never gets shorter.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._memory: mmap.mmap | None = None  # opened on first use

    def read(self) -> int:
        """The number now."""
        memory = self._memory or self._open()
        return int.from_bytes(memory[:_SIZE], "little")

    def raise_by_one(self) -> None:
        """Every later `read`, in whichever process, sees another number than before."""
        memory = self._memory or self._open()
        with self._lock:
            file = None if self._path is None else os.open(self._path, os.O_RDWR)
            try:
                if file is not None and sys.platform != "win32":
                    fcntl.flock(file, fcntl.LOCK_EX)
                number = int.from_bytes(memory[:_SIZE], "little") + 1
                memory[:_SIZE] = (number % 2**63).to_bytes(_SIZE, "little")
            finally:
                if file is not None:
                    os.close(file)  # ends the lock

    def close(self) -> None:
        """Lets go of the file, which others go on using."""
        with self._lock:
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def _open(self) -> mmap.mmap:
        with self._lock:
            if self._memory is None:
                self._memory = mmap.mmap(-1, _SIZE) if self._path is None else _mapped(self._path)
            return self._memory


def _mapped(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(file).st_size < _SIZE:
            os.ftruncate(file, _SIZE)  # two that begin at once both lengthen it to the same zeros
        return mmap.mmap(file, _SIZE)
    finally:
        os.close(file)
