"""Keys that this process trusts without asking, and how soon a revocation holds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from costlens.config import Settings
from costlens.domain.errors import Forbidden, Unauthorized, Unavailable
from costlens.services import keys
from costlens.services.keys import authenticate, create_key, key_hash, revoke_key
from costlens.store import tables as t
from costlens.store.engine import Store
from tests.services.ledger import NOW


def test_a_key_is_asked_of_the_database_once_a_second(store: Store, alice_key: str) -> None:
    asked: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    first = authenticate(store, alice_key, "ingest")
    assert len([text for text in asked if "api_keys" in text]) == 1
    asked.clear()
    assert authenticate(store, alice_key, "read") == first
    assert asked == []


def test_a_key_that_is_trusted_outlives_a_store_that_is_away(
    store: Store, alice_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_TRUST_SECONDS", 60.0)
    first = authenticate(store, alice_key, "ingest")
    monkeypatch.setattr(keys, "_TRUST_SECONDS", 3600.0)  # of which the 60 are less than half

    def away(*_: Any) -> None:
        raise Unavailable("The database is away")

    event.listen(store.engine, "before_cursor_execute", away)
    assert authenticate(store, alice_key, "ingest") == first
    keys._trusted.forget()
    with pytest.raises(Unavailable):
        authenticate(store, alice_key, "ingest")


def test_one_of_many_callers_asks_again_before_the_trust_is_over(
    store: Store, alice_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_TRUST_SECONDS", 60.0)
    first = authenticate(store, alice_key, "ingest")
    monkeypatch.setattr(keys, "_TRUST_SECONDS", 3600.0)  # of which the 60 are less than half
    asked: list[str] = []
    answered = threading.Event()

    def ask(*given: Any) -> None:
        asked.append(given[2])
        assert answered.wait(10)

    event.listen(store.engine, "before_cursor_execute", ask)
    with ThreadPoolExecutor(4) as pool:
        early = pool.submit(authenticate, store, alice_key, "ingest")
        deadline = time.monotonic() + 10
        while not asked and time.monotonic() < deadline:
            time.sleep(0.001)
        assert authenticate(store, alice_key, "ingest") == first, "the others go on with what is known"
        answered.set()
        assert early.result(10) == first
    assert len([text for text in asked if "api_keys" in text]) == 1


def test_a_revocation_holds_at_once_in_this_process(store: Store, settings: Settings, alice_key: str) -> None:
    other = Store(settings.database_url)
    try:
        assert authenticate(other, alice_key, "ingest")
        revoke_key(store, "Acme", alice_key[:11])
        with pytest.raises(Unauthorized):
            authenticate(other, alice_key, "ingest")
    finally:
        other.close()


def test_a_revocation_by_another_process_holds_within_a_second(
    store: Store, settings: Settings, alice_key: str
) -> None:
    command = (sys.executable, "-m", "costlens.cli", "key", "revoke", "Acme", alice_key[:11])
    env = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as process:
        ended, refused = None, None
        while refused is None:
            if ended is None and process.poll() is not None:
                ended = time.monotonic()
            try:
                authenticate(store, alice_key, "ingest")  # in use all the while, so it is trusted when it is revoked
            except Unauthorized:
                refused = time.monotonic()
            assert ended is None or time.monotonic() < ended + 5
            time.sleep(0.01)
        assert process.wait(30) == 0
    assert ended is None or refused - ended < 1.1


def test_a_revocation_by_another_process_holds_at_its_end(
    store: Store, settings: Settings, alice_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_TRUST_SECONDS", 3600.0)  # nothing but the signal ends the trust
    assert authenticate(store, alice_key, "ingest")
    command = (sys.executable, "-m", "costlens.cli", "key", "revoke", "Acme", alice_key[:11])
    env = {"COSTLENS_DATA": str(settings.data), "DATABASE_URL": settings.database_url}
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=60)
    with pytest.raises(Unauthorized):
        authenticate(store, alice_key, "ingest")


def test_a_paused_key(store: Store, alice_key: str) -> None:
    with store.write() as tx:
        tx.execute(update(t.api_keys).values(paused_at=NOW))
    with pytest.raises(Unauthorized, match="paused"):
        authenticate(store, alice_key, "ingest")


def test_a_personal_key_does_no_more_than_its_member(store: Store, alice_key: str) -> None:
    key = create_key(store, "Acme", "alice's", member="alice@example.com", scopes="ingest read admin")
    assert authenticate(store, key, "admin")
    with store.write() as tx:
        tx.execute(update(t.members).values(role="member"))
    keys.forget_trusted(store)
    assert authenticate(store, key, "ingest")
    with pytest.raises(Forbidden):
        authenticate(store, key, "admin")


def test_what_was_read_before_a_revocation_does_not_outlive_it(
    store: Store, settings: Settings, alice_key: str
) -> None:
    other = Store(settings.database_url)
    revoked: list[bool] = []

    def revoke(*given: object) -> None:
        if "api_keys" in str(given[2]) and not revoked:
            revoked.append(True)
            revoke_key(other, "Acme", alice_key[:11])  # between the reading of a key and its keeping

    event.listen(store.engine, "after_cursor_execute", revoke)
    assert authenticate(store, alice_key, "ingest")
    with pytest.raises(Unauthorized):
        authenticate(store, alice_key, "ingest")
    other.close()


def test_a_trusted_key_still_expires_and_keeps_to_its_scopes(store: Store, alice_key: str) -> None:
    with store.write() as tx:
        end = update(t.api_keys).where(t.api_keys.c.key_hash == key_hash(alice_key))
        tx.execute(end.values(expires_at=NOW + timedelta(seconds=1)))
    assert authenticate(store, alice_key, "ingest", now=NOW)
    with pytest.raises(Unauthorized):
        authenticate(store, alice_key, "ingest", now=NOW + timedelta(seconds=1))
    reader = create_key(store, "Acme", "reader", scopes="read")
    assert authenticate(store, reader, "read")
    with pytest.raises(Forbidden):
        authenticate(store, reader, "ingest")
