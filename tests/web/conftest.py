"""Callers with their keys, and a small organization whose work has been linked."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask

from costlens.config import Settings, load_settings
from costlens.factory import create_app
from costlens.github.snapshot import read_snapshot
from costlens.services.keys import create_key
from costlens.services.linking import link_repository
from costlens.services.organizations import create_organization, create_team
from costlens.services.sync import import_records
from costlens.store.engine import Store
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization, find_organization
from tests.databases import Kept, database_url, keep
from tests.web.caller import Caller


@pytest.fixture
def alice(app: Flask, alice_key: str) -> Caller:
    return Caller(app, alice_key)


@pytest.fixture
def bob(app: Flask, bob_key: str) -> Caller:
    return Caller(app, bob_key)


@pytest.fixture
def charlie(app: Flask, charlie_key: str) -> Caller:
    return Caller(app, charlie_key)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """A caller without a key."""
    return Caller(app, None)


WEB = "acme/web"
PERIOD = "startDate=2025-01-01&endDate=2025-01-31"

_SNAPSHOT = [
    {"type": "repository", "name": WEB, "id": 501, "defaultBranch": "main"},
    {"login": "alice", "id": 1, "emails": ["alice@example.com"]},
    {"login": "bob", "id": 2, "emails": ["bob@example.com"]},
    {
        "repo": WEB, "number": 1, "title": "Sign in by link", "author": "alice", "headRef": "feat/login",
        "baseRef": "main", "createdAt": "2025-01-10T13:00:00Z", "state": "merged", "mergedAt": "2025-01-11T09:00:00Z",
        "commits": [{"sha": "a" * 40, "authoredAt": "2025-01-10T12:00:00Z", "author": "alice", "files": ["login.py"]}],
    },
    {
        "repo": WEB, "number": 2, "title": "Search", "author": "bob", "headRef": "feat/search", "baseRef": "main",
        "createdAt": "2025-01-12T13:00:00Z", "state": "open",
        "commits": [{"sha": "b" * 40, "authoredAt": "2025-01-12T12:00:00Z", "author": "bob", "files": ["find.py"]}],
    },
    {
        "repo": WEB, "number": 3, "title": "Another search", "author": "bob", "headRef": "try/search",
        "baseRef": "main", "createdAt": "2025-01-13T13:00:00Z", "state": "closed", "closedAt": "2025-01-14T13:00:00Z",
        "commits": [{"sha": "c" * 40, "authoredAt": "2025-01-13T12:00:00Z", "author": "bob", "files": ["find.py"]}],
    },
]  # fmt: skip

_CALL = {"provider": "openai", "model": "gpt-5.4", "inputTokens": 1000, "outputTokens": 100, "latency": 800}
_RUNS: dict[str, dict[str, Any]] = {
    "login": {"repo": WEB, "branch": "feat/login", "timestamp": "2025-01-10T11:00:00Z", "promptId": "write-v2"},
    "search": {"repo": WEB, "prNumber": 2, "timestamp": "2025-01-12T11:00:00Z"},
    "failed-search": {"repo": WEB, "prNumber": 3, "timestamp": "2025-01-13T11:00:00Z", "success": False},
    "stray": {"repo": WEB, "branch": "main", "timestamp": "2025-01-20T11:00:00Z"},
    "homeless": {"timestamp": "2025-01-21T11:00:00Z", "sessionId": "s-1"},
    "live": {"environment": "production", "repo": WEB, "timestamp": "2025-01-22T11:00:00Z"},
    "unpriced": {"repo": WEB, "prNumber": 1, "timestamp": "2025-01-10T12:00:00Z", "model": "gpt-unheard-of"},
}


@dataclass(frozen=True, slots=True)
class Shipped:
    """Acme with seven runs of 0.004 dollars (one unpriced), three pull requests and the links between them."""

    organization: Organization
    repository_id: int
    ids: dict[str, str]  # the runs by name, as the API shows them


@pytest.fixture
def settings(request: pytest.FixtureRequest, engine: str, tmp_path: Path) -> Iterator[Settings]:
    """As of all tests; what `shipped` promises is in the database already."""
    kept = _made_once(engine).database if "shipped" in request.fixturenames else None
    with database_url(engine, kept=kept) as url:
        yield load_settings({"COSTLENS_DATA": str(tmp_path / "data"), "DATABASE_URL": url})


@pytest.fixture
def alice_key(request: pytest.FixtureRequest, engine: str, store: Store) -> str:
    """The personal key of alice, who owns Acme."""
    return _made_once(engine).alice_key if "shipped" in request.fixturenames else _acme(store)


@pytest.fixture
def shipped(engine: str, acme: Organization) -> Shipped:
    made = _made_once(engine)
    return Shipped(acme, made.repository_id, dict(made.ids))


@dataclass(frozen=True, slots=True)
class _Made:
    database: Kept
    alice_key: str
    repository_id: int
    ids: dict[str, str]


@functools.cache
def _made_once(engine: str) -> _Made:
    """Made in a database of its own, whose rows each test begins with: making them costs more than most tests."""
    with TemporaryDirectory() as folder, database_url(engine) as url:
        app = create_app(load_settings({"COSTLENS_DATA": folder, "DATABASE_URL": url}))
        store: Store = app.extensions["costlens"].store
        key = _acme(store)
        repository_id, ids = _ship(app, store, Caller(app, key))
        store.close()
        return _Made(keep(url), key, repository_id, ids)


def _acme(store: Store) -> str:
    return create_organization(store, "Acme", "alice@example.com", plan="self-hosted").api_key


def _ship(app: Flask, store: Store, alice: Caller) -> tuple[int, dict[str, str]]:
    with store.read() as tx:
        acme = find_organization(tx, "acme")
    assert acme is not None
    create_team(store, acme.id, "Storefront")
    team = Caller(app, create_key(store, "Acme", "shared", team="Storefront"))
    ids = {}
    for name, values in _RUNS.items():
        caller = team if name == "search" else alice
        response = caller.post("/integrations/run", _CALL | {"requestId": name} | values)
        assert response.status_code == 200, response.text
        ids[name] = response.json["run"]["id"]
    import_records(store, acme.id, read_snapshot(json.dumps(line).encode() for line in _SNAPSHOT))
    with store.read() as tx:
        repository_id = find_repositories(tx, acme.id, [WEB])[WEB]
    for number in (repository_id, 0):
        link_repository(store, acme.id, number)
    return repository_id, ids
