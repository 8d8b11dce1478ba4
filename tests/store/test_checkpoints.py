"""The log of a SQLite file is copied beside its writers."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from costlens.store.checkpoints import EVERY
from costlens.store.engine import Store


def write(store: Store, times: int) -> None:
    for _ in range(times):
        with store.write() as tx:
            tx.execute(text("INSERT INTO numbers (value) VALUES (zeroblob(20000))"))


def made(file: Path) -> Store:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE numbers (value BLOB)")
    return Store(f"sqlite:///{file}")


def test_after_so_many_commits_the_file_holds_what_was_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "numbers.db"
    store = made(file)
    try:
        write(store, EVERY - 1)
        before = file.stat().st_size
        write(store, 1)
        deadline = time.monotonic() + 10
        while file.stat().st_size < before + 20_000 * EVERY and time.monotonic() < deadline:
            time.sleep(0.01)
        assert file.stat().st_size >= before + 20_000 * EVERY
        write(store, 5)
        with store.read() as tx:
            assert tx.execute(text("SELECT count(*) FROM numbers")).scalar_one() == EVERY + 5
    finally:
        store.close()


def test_a_few_commits_start_nothing_and_a_closed_store_leaves_no_thread(tmp_path: Path) -> None:
    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "checkpoints"]

    others = threads()
    store = made(tmp_path / "numbers.db")
    write(store, EVERY - 1)
    assert threads() == others
    write(store, 1)
    assert len(threads()) == len(others) + 1
    store.close()
    assert threads() == others
