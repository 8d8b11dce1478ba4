"""The database handle: snapshots, transactions, and what callers are told when the database cannot serve."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from costlens.config import SettingsError
from costlens.domain.errors import Unavailable
from costlens.store import engine
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.upsert import insert_one
from tests.acme import november
from tests.databases import only_postgresql, open_store


@pytest.fixture
def store(engine: str) -> Iterator[Store]:
    with open_store(engine) as opened:
        yield opened


def add_user(tx: Tx, name: str) -> int:
    return insert_one(tx, t.users, {"email": f"{name}@example.com", "created_at": november(1)})


def count_users(tx: Tx) -> int:
    return int(tx.scalar(select(func.count()).select_from(t.users)) or 0)


def test_a_write_is_there_for_the_next_read(store: Store) -> None:
    with store.write() as tx:
        add_user(tx, "alice")
    with store.read() as tx:
        assert count_users(tx) == 1


def test_an_error_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.write() as tx:  # noqa: PT012 - the error comes after the write
        add_user(tx, "alice")
        raise KeyError
    with store.read() as tx:
        assert count_users(tx) == 0


def test_a_read_sees_one_state(store: Store) -> None:
    with store.read() as tx:
        assert count_users(tx) == 0
        with store.write() as other:
            add_user(other, "alice")
        assert count_users(tx) == 0
    with store.read() as tx:
        assert count_users(tx) == 1


@only_postgresql  # SQLite has no transaction that refuses to write
def test_a_read_cannot_write(store: Store) -> None:
    with pytest.raises(DBAPIError, match="read-only"), store.read() as tx:
        add_user(tx, "alice")
    with store.write() as tx:  # the connection is as before
        add_user(tx, "alice")


def test_work_is_done_again_when_the_key_was_stored_meanwhile(store: Store) -> None:
    tries = []

    def work(tx: Tx) -> int:
        tries.append(count_users(tx))
        if len(tries) == 1:
            tx.execute(insert(t.users), [{"id": 9, "email": "alice@example.com", "created_at": november(1)}] * 2)
        return add_user(tx, "bob")

    assert store.transact(work) > 0
    assert tries == [0, 0]


@only_postgresql  # SQLite has one writer at a time, which waits for nobody
def test_two_that_wait_for_each_other_both_come_through(store: Store) -> None:
    with store.write() as tx:
        ids = [add_user(tx, name) for name in ("alice", "bob")]
    meet = threading.Barrier(2)
    tries: list[int] = []
    failed: list[BaseException] = []

    def rename(order: list[int]) -> None:
        first = True

        def work(tx: Tx) -> None:
            nonlocal first
            tries.append(order[0])
            for user_id in order:
                tx.execute(t.users.update().where(t.users.c.id == user_id).values(name=f"by {order[0]}"))
                if first:
                    first = False
                    meet.wait(10)

        try:
            store.transact(work)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=rename, args=(order,)) for order in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert len(tries) >= 3  # one of them was the victim
    with store.read() as tx:
        assert len({*tx.scalars(select(t.users.c.name))}) == 1


def test_a_lock_that_is_held_too_long_is_unavailable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    with store.write() as tx:
        alice = add_user(tx, "alice")
    name = t.users.update().where(t.users.c.id == alice).values(name="alice")
    hasty = Store(store.engine.url.render_as_string(hide_password=False))
    with hasty.write() as tx:
        tx.execute(name)
        with pytest.raises(Unavailable), hasty.write() as other:
            other.execute(name)
    hasty.close()


@only_postgresql  # SQLite has no server
def test_a_connection_that_the_server_ended_is_replaced(store: Store) -> None:
    with store.write() as tx:
        add_user(tx, "alice")
        (mine,) = tx.execute(text("SELECT pg_backend_pid()")).one()
    with pytest.raises(Unavailable), store.read() as tx:  # noqa: PT012 - it ends in the middle
        (also_mine,) = tx.execute(text("SELECT pg_backend_pid()")).one()
        assert mine == also_mine
        with store.write() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
        for _ in range(100):
            count_users(tx)
    with store.read() as tx:
        assert count_users(tx) == 1


@only_postgresql  # a file has no limit of connections to keep under
def test_more_work_than_connections_waits_and_then_is_unavailable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    small = Store(store.engine.url.render_as_string(hide_password=False))
    held: list[Any] = []
    with pytest.raises(Unavailable):  # noqa: PT012 - one too many
        while len(held) < 99:
            held.append(small.read())
            held[-1].__enter__()
    assert len(held) == 17
    for one in held[:-1]:
        one.__exit__(None, None, None)
    with small.read() as tx:
        assert count_users(tx) == 0
    small.close()


def test_a_database_that_is_away_is_unavailable() -> None:
    for url in ("postgresql://costlens@127.0.0.1:9/costlens", "sqlite:////nowhere/at/all/costlens.db"):
        away = Store(url)
        with pytest.raises(Unavailable), away.read() as tx:
            count_users(tx)
        away.close()


def test_an_address_that_cannot_be_read_shows_no_password() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        Store("postgresql:alice:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_times_whole_numbers_and_json_come_back_as_they_were(store: Store) -> None:
    details = {"ä": [1, 2.5, None, True], "big": 2**60, "zero": "a\u0001b"}
    with store.write() as tx:
        owner = {"name": "Acme", "slug": "acme", "plan": "free", "hourly_cost_cents": 2**62, "created_at": november(1)}
        organization = insert_one(tx, t.organizations, owner)
        entry = {"at": november(2), "actor": "alice", "action": "x", "subject": "y", "details": details}
        tx.execute(insert(t.audit_entries), [entry | {"organization_id": organization}])
    with store.read() as tx:
        row = tx.execute(select(t.audit_entries)).one()
        assert (row.at, row.details) == (november(2), details)
        assert tx.scalar(select(t.organizations.c.hourly_cost_cents)) == 2**62


def test_connections_say_what_they_need(store: Store) -> None:
    seen: list[str] = []
    event.listen(store.engine, "checkout", lambda *_: seen.append("out"))
    with store.read() as tx:
        if store.dialect == "postgresql":
            assert tx.scalar(text("SHOW lock_timeout")) == f"{engine.BUSY_SECONDS}s"
            assert tx.scalar(text("SHOW transaction_isolation")) == "repeatable read"
        else:
            assert tx.scalar(text("PRAGMA foreign_keys")) == 1
    with store.write() as tx:
        if store.dialect == "postgresql":
            assert tx.scalar(text("SHOW transaction_isolation")) == "read committed"
            assert tx.scalar(text("SHOW transaction_read_only")) == "off"
    assert seen == ["out", "out"]
