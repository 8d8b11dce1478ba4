"""The list of repositories and failed deliveries, as GitHub tells them to an App."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from costlens.domain.errors import Unavailable
from costlens.services import github_connect, github_hooks, github_walk
from costlens.services.sealing import Box
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.github import peer as github
from tests.github.peer import Peer, history, stamp
from tests.services.github_world import World
from tests.services.test_github_trouble import app_key


@pytest.fixture(scope="module")
def key() -> str:
    return app_key()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history(3, 1), history(2, 1, name="acme/api", github_id=502)) as serving:
        yield serving


@pytest.fixture
def world(store: Store, acme: Organization, peer: Peer, key: str) -> World:
    """Connected by an App."""
    made = World(store, peer, acme.id, now=datetime.now(UTC))
    made.connect()
    with store.write() as tx:
        app = {"kind": "app", "app_id": 7, "private_key": made.box.seal(key)}
        connections.change_connection(tx, acme.id, app)
        tx.exec_driver_sql("UPDATE github_repositories SET installation_id = 1")
    return made


def offered(world: World) -> dict[str, tuple[bool, bool]]:
    """Whether each repository is offered, and chosen."""
    with world.store.read() as tx:
        return {row.name: (row.offered, row.chosen) for row in sync_store.list_sources(tx, world.organization_id)}


def connection(world: World) -> Any:
    with world.store.read() as tx:
        return connections.get_connection(tx, world.organization_id)


def test_the_list_follows_what_github_offers(world: World) -> None:
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 2
    world.peer.repos.pop()
    world.peer.repos.append(history(1, 1, name="acme/new", github_id=503))
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 2
    assert offered(world) == {"acme/web": (True, True), "acme/api": (False, True), "acme/new": (True, False)}
    assert not connection(world).list_due
    assert github_connect.lists_due(world.store, datetime.now(UTC)) == []
    assert github_connect.lists_due(world.store, datetime.now(UTC) + timedelta(hours=7)) == [world.organization_id]


def test_an_installation_that_is_gone_is_forgotten_and_its_repositories_are_not_offered(world: World) -> None:
    github_connect.refresh(world.store, world.github, world.organization_id)
    world.peer.repos.clear()
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 0
    with world.store.read() as tx:
        assert sync_store.list_installations(tx, world.organization_id) == []
    assert set(offered(world).values()) == {(False, True)}


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_list_that_github_refuses_keeps_what_is_known(world: World, status: int) -> None:
    github_connect.refresh(world.store, world.github, world.organization_id)
    world.peer.script(r"GET /app/installations", *[(status, {}, {"message": "no"})] * 2)
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 0
    assert offered(world) == {"acme/web": (True, True), "acme/api": (True, True)}
    assert bool(connection(world).error) == (status == 401)
    assert not connection(world).list_due, "it is not asked for again and again"


def test_nothing_is_asked_of_github_where_nobody_connected(store: Store, acme: Organization, peer: Peer) -> None:
    alone = World(store, peer, acme.id)
    now = datetime.now(UTC)
    assert github_connect.refresh(store, alone.github, acme.id) == 0
    assert github_hooks.redeliver_failures(store, alone.github) == 0
    assert (github_connect.lists_due(store, now), github_walk.due(store, now), github_hooks.waiting(store)) == (
        [],
        [],
        [],
    )
    assert peer.count() == 0


def test_more_repositories_than_a_page(world: World) -> None:
    world.peer.repos += [github.Repo(1_000 + n, f"acme/r{n}") for n in range(150)]
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 152


def test_failed_deliveries_are_asked_for_again_once(world: World) -> None:
    now = datetime.now(UTC)

    def attempt(number: int, guid: str, code: int, **ago: float) -> dict[str, Any]:
        return {"id": number, "guid": guid, "status_code": code, "delivered_at": stamp(now - timedelta(**ago))}

    with world.store.write() as tx:
        head = {"organization_id": world.organization_id, "event": "push", "received_at": now}
        connections.add_delivery(tx, head | {"guid": "done-here", "action": None, "github_id": None})
    github_hooks.process(world.store, world.organization_id)
    world.peer.deliveries = [
        attempt(9, "second-try-came", 202, hours=1),
        attempt(8, "lost", 502, hours=2),
        attempt(7, "second-try-came", 502, hours=3),
        attempt(6, "fine", 202, hours=4),
        attempt(5, "done-here", 504, hours=5),
        attempt(4, "old", 502, days=4),
    ]
    assert github_hooks.redeliver_failures(world.store, world.github) == 1
    assert world.peer.redelivered == [8]
    assert connection(world).redelivered_at is not None


def test_redelivery_that_github_refuses_is_let_be(world: World) -> None:
    world.peer.script(r"GET /app/hook/deliveries", (404, {}, {"message": "Not Found"}))
    assert github_hooks.redeliver_failures(world.store, world.github) == 0


def test_the_new_webhook_secret_is_told_to_github_or_not_taken(world: World) -> None:
    secret = github_connect.change_webhook_secret(world.store, world.github, world.alice)
    assert world.peer.hook_secret == secret
    world.peer.script(r"PATCH /app/hook/config", (500, {}, None))
    with pytest.raises(Unavailable):
        github_connect.change_webhook_secret(world.store, world.github, world.alice)
    assert world.box.open(connection(world).webhook_secret) == secret


def test_old_deliveries_are_forgotten_once_they_are_done(world: World) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    for guid in ("one", "two"):
        with world.store.write() as tx:
            row = {"organization_id": world.organization_id, "guid": guid, "event": "push", "received_at": long_ago}
            connections.add_delivery(tx, row | {"action": None, "github_id": None})
        if guid == "one":
            github_hooks.process(world.store, world.organization_id)
    github_hooks.forget_old(world.store)
    with world.store.read() as tx:
        assert [row.guid for row in connections.waiting_deliveries(tx, world.organization_id, 10)] == ["two"]
        assert connections.delivery_counts(tx, world.organization_id, long_ago) == (1, 1)


def test_what_was_sealed_with_a_secret_that_is_gone_is_told() -> None:
    sealed = Box(("a" * 32,)).seal("x")
    assert Box(("b" * 32, "a" * 32)).open(sealed) == "x"
    with pytest.raises(Unavailable, match="COSTLENS_OLD_SECRET_KEYS"):
        Box(("b" * 32,)).open(sealed)
