"""Fixtures for tests that need a database or the application. alice owns Acme, bob is a member of it, charlie owns
another organization.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL, Dialect, Engine, create_engine, event
from sqlalchemy.util import LRUCache

from costlens.config import Settings, load_settings
from costlens.factory import create_app, equip
from costlens.services import ingest, keys, usage
from costlens.services.keys import create_key
from costlens.services.organizations import create_organization, ensure_user
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.databases import ENGINES, database_setting, database_url


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: tests of whole servers wait a third of their time."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Engines of one kind share a dialect and what was compiled for it: to compile anew in each test costs more than
    most tests.
    """
    dialects: dict[str, Dialect] = {}
    compiled: LRUCache[Any, Any] = LRUCache(1_000)

    def shared(url: URL, **options: Any) -> Engine:
        made = create_engine(url, execution_options={"compiled_cache": compiled}, **options)
        name = made.dialect.name
        if name in dialects:
            made.dialect = dialects[name]
        else:  # a dialect that has not met its server yet knows too little
            event.listen(made, "first_connect", lambda *_: dialects.setdefault(name, made.dialect))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("costlens.store.engine.create_engine", shared)
        yield


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a database, or for what stands on one, runs on both engines."""
    return str(request.param)


@pytest.fixture(scope="module")
def database(engine: str) -> Iterator[dict[str, str]]:
    """The setting that puts what processes store into a database of the module's own."""
    with database_setting(engine) as setting:
        yield setting


@pytest.fixture
def settings(engine: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a migrated, empty database and a data folder of this test; no queue listens there."""
    with database_url(engine) as url:
        yield load_settings({"COSTLENS_DATA": str(tmp_path / "data"), "DATABASE_URL": url})


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The store of `settings`; the process-wide caches start empty with it."""
    usage._shares.clear()
    ingest._touched.clear()
    keys._trusted.forget()
    opened = Store(settings.database_url, folder=settings.data)
    yield opened
    opened.close()


@pytest.fixture
def app(store: Store, settings: Settings) -> Iterator[Flask]:
    """The whole application on `store`'s database."""
    made = _routed()
    equip(made, settings)
    yield made
    made.extensions["costlens"].store.close()


@functools.cache
def _routed() -> Flask:
    """One application for all tests of a process: making its routes takes longer than most tests."""
    with TemporaryDirectory() as folder:
        made = create_app(load_settings({"COSTLENS_DATA": folder}))
    made.extensions["costlens"].store.close()
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser of its own: no cookies yet."""
    return app.test_client()


@pytest.fixture
def alice_key(store: Store) -> str:
    """The personal key of alice, who owns Acme."""
    return create_organization(store, "Acme", "alice@example.com", plan="self-hosted").api_key


@pytest.fixture
def bob_key(store: Store, acme: Organization) -> str:
    """The personal key of bob, a member of Acme."""
    now = datetime.now(UTC)
    with store.write() as tx:
        user = ensure_user(tx, "bob@example.com", now)
        row = {"organization_id": acme.id, "user_id": user, "role": "member", "created_at": now}
        org_store.create_member(tx, row)
    return create_key(store, "Acme", "bob's", member="bob@example.com")


@pytest.fixture
def charlie_key(store: Store) -> str:
    """The personal key of charlie, who owns another organization, Initech."""
    return create_organization(store, "Initech", "charlie@example.com", plan="self-hosted").api_key


@pytest.fixture
def acme(store: Store, alice_key: str) -> Organization:
    """alice's organization."""
    with store.read() as tx:
        found = org_store.find_organization(tx, "acme")
    assert found is not None
    return found
