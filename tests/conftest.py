"""Fixtures for tests that need a database or the application. alice owns Acme, bob is a member of it, charlie owns
another organization.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.services import ingest, keys, usage
from costlens.services.keys import create_key
from costlens.services.organizations import create_organization, ensure_user
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from costlens.store.organizations import Organization


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "costlens.db"
    store = Store(f"sqlite:///{path}")
    upgrade(store)
    store.close()  # the last connection to close empties the write-ahead log into the file
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data is a folder of this test; no queue listens there."""
    return load_settings({"COSTLENS_DATA": str(tmp_path / "data")})


@pytest.fixture
def store(migrated: Path, settings: Settings) -> Iterator[Store]:
    """A migrated, empty SQLite store; the process-wide caches start empty with it."""
    shutil.copy(migrated, settings.data / "costlens.db")
    usage._shares.clear()
    ingest._touched.clear()
    keys._trusted.forget()
    opened = Store(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture
def app(store: Store, settings: Settings) -> Iterator[Flask]:
    """The whole application on `store`'s file."""
    made = create_app(settings)
    yield made
    made.extensions["costlens"].store.close()


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
