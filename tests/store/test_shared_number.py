"""The number by which processes tell each other that access changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from costlens.store.shared_number import SharedNumber

RAISE = """
import sys
from pathlib import Path
from costlens.store.shared_number import SharedNumber
number = SharedNumber(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    number.raise_by_one()
"""


def test_another_process_raises_it(tmp_path: Path) -> None:
    path = tmp_path / "number"
    here = SharedNumber(path)
    before = here.read()
    others = [subprocess.Popen((sys.executable, "-c", RAISE, str(path), "500")) for _ in range(2)]
    assert [process.wait(60) for process in others] == [0, 0]
    assert here.read() == before + 1_000  # none of two that raise it at once is lost
    here.close()
    assert SharedNumber(path).read() == before + 1_000
    assert path.stat().st_size == 8
    assert path.stat().st_mode & 0o077 == 0


def test_without_a_file_it_is_this_process_alone() -> None:
    number, other = SharedNumber(None), SharedNumber(None)
    number.raise_by_one()
    assert (number.read(), other.read()) == (1, 0)
