"""Writers of one SQLite file take turns, threads and processes alike, and a killed one ends its turn."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from costlens.store.writer_turn import WriterTurn
from tests.e2e.servers import wait_until

# Takes the turn, says so by a file, and keeps it until it is killed or has counted some turns.
HOLDER = """
import sys, time
from pathlib import Path
from costlens.store.writer_turn import WriterTurn
turn, said, times = WriterTurn(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for number in range(times or 1):
    assert turn.take(20)
    with said.open("a") as file:
        file.write(sys.argv[4])
    time.sleep(0.002 if times else 60)
    turn.give_back()
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "costlens.db")


def holder(database: str, said: Path, times: int = 0, letter: str = "a") -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, "-c", HOLDER, database, str(said), str(times), letter))


def test_a_turn_is_taken_and_given_back(database: str) -> None:
    turn = WriterTurn(database)
    for _ in range(3):
        assert turn.take(1)
        turn.give_back()
    turn.close()


def test_a_second_thread_waits_and_gives_up_in_time(database: str) -> None:
    turn = WriterTurn(database)
    assert turn.take(1)
    assert not turn.take(0.05)
    waited = threading.Thread(target=lambda: turn.take(20) and turn.give_back())
    waited.start()
    turn.give_back()
    waited.join(20)
    assert not waited.is_alive()


def test_another_process_waits_and_a_killed_one_ends_its_turn(database: str, tmp_path: Path) -> None:
    process = holder(database, tmp_path / "said")
    try:
        wait_until((tmp_path / "said").exists, 20)
        turn = WriterTurn(database)
        assert not turn.take(0.1), "the other has it"
        assert not turn.take(0), "a try that failed leaves nothing behind"
        process.kill()
        assert turn.take(5)
        turn.give_back()
    finally:
        process.kill()
        process.wait()


def test_two_processes_take_turns(database: str, tmp_path: Path) -> None:
    turns, said = 100, tmp_path / "said"
    processes = [holder(database, said, turns, letter) for letter in "ab"]
    for process in processes:
        assert process.wait(60) == 0
    order = said.read_text()
    assert (order.count("a"), order.count("b")) == (turns, turns)
    # While both are there neither writes twice in a row but by the chance that the other was not waiting yet.
    both = order[max(order.index("a"), order.index("b")) : min(order.rindex("a"), order.rindex("b"))]
    longest = max(len(part) for part in both.replace("ab", "a b").replace("ba", "b a").split()) if both else 0
    assert longest < turns // 2, order


def test_nobody_else_can_come_to_a_database_in_memory() -> None:
    first, second = WriterTurn(":memory:"), WriterTurn(None)
    assert first.take(1)
    assert second.take(1)
    first.give_back()
    second.give_back()


def test_a_turn_comes_soon_after_it_is_given_back(database: str) -> None:
    turn, other = WriterTurn(database), WriterTurn(database)
    assert turn.take(1)
    threading.Timer(0.05, turn.give_back).start()
    started = time.monotonic()
    assert other.take(10)
    assert time.monotonic() - started >= 0.04, "it waited for the other"
    other.give_back()
