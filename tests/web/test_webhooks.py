"""GitHub's webhooks at the door: real payloads in any order, doubled, tampered, forged, as JSON and as forms."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from costlens.config import Settings
from costlens.github.webhooks import MAX_BODY
from costlens.services import github_connect, github_hooks
from costlens.services.github_access import github_of
from costlens.services.sealing import box
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.github import peer as github
from tests.github.peer import Peer, Repo
from tests.github.signing import signature_of, signed
from tests.peers import webhook_examples
from tests.services.github_world import World
from tests.web.people import signed_in

EXAMPLES: list[tuple[str, Any]] = [
    (event["name"], example) for event in json.loads(webhook_examples().read_text()) for example in event["examples"]
]
IDS = sorted({example["repository"]["id"] for _, example in EXAMPLES if isinstance(example.get("repository"), dict)})


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with github.serving(*(Repo(number, f"acme/r{number}") for number in IDS)) as serving:
        yield serving


@pytest.fixture
def world(store: Store, settings: Settings, acme: Organization, peer: Peer) -> World:
    """Acme connected; every repository of the examples is chosen."""
    made = World(store, peer, acme.id, now=datetime.now(UTC) - timedelta(minutes=5), box=box(settings))
    made.connect()
    with store.write() as tx:  # read already, and not due for a while
        tx.exec_driver_sql(f"UPDATE github_repositories SET due_at = {_millis(made.now + timedelta(minutes=15))}")
    return made


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def send(client: FlaskClient, world: World, body: bytes, headers: dict[str, str]) -> TestResponse:
    return client.post(f"/webhooks/github/h{world.organization_id}", data=body, headers=headers)


def deliveries(store: Store) -> dict[str, str]:
    with store.read() as tx:
        return {row.guid: row.event for row in tx.execute(select(t.github_deliveries))}


def due(world: World) -> dict[int, bool]:
    """Which repositories are due now, by GitHub's id."""
    with world.store.read() as tx:
        rows = sync_store.list_sources(tx, world.organization_id)
        listing = connections.get_connection(tx, world.organization_id).list_due
    return {row.github_id: row.due_at <= datetime.now(UTC) for row in rows} | {0: listing}


def test_a_real_delivery_makes_its_repository_due(client: FlaskClient, world: World) -> None:
    event, example = next(one for one in EXAMPLES if one[0] == "pull_request")
    response = send(client, world, *signed("hush", event, example, guid="g-1"))
    assert (response.status_code, response.json) == (202, {"status": "noted"})
    assert github_hooks.process(world.store, world.organization_id).deliveries == 1
    found = due(world)
    assert [number for number, is_due in found.items() if is_due] == [example["repository"]["id"]]
    again = send(client, world, *signed("hush", event, example, guid="g-1"))
    assert (again.status_code, again.json) == (202, {"status": "known"})


def test_a_redelivery_of_what_was_not_processed_is_taken(client: FlaskClient, world: World) -> None:
    delivery = signed("hush", "push", {"repository": {"id": IDS[0]}}, guid="g-1")
    for _ in range(3):
        assert send(client, world, *delivery).json == {"status": "noted"}
    assert github_hooks.process(world.store, world.organization_id).deliveries == 1


def test_every_real_payload_in_any_order_doubled_and_tampered(client: FlaskClient, world: World) -> None:
    assert len(EXAMPLES) == 329
    ends = []
    for seed in (1, 2):
        chance = random.Random(seed)
        parcel = [(f"{seed}-{n}", event, example) for n, (event, example) in enumerate(EXAMPLES)]
        parcel += chance.sample(parcel, 60)
        chance.shuffle(parcel)
        for n, (guid, event, example) in enumerate(parcel):
            body, headers = signed("hush", event, example, guid=guid, form=chance.random() < 0.3)
            if n % 5 == 0:
                assert (
                    send(client, world, _tampered(body, chance), headers | {"X-GitHub-Delivery": "forged"}).status_code
                    == 401
                )
            assert send(client, world, body, headers).status_code == 202, (event, example.get("action"))
            if n % 100 == 0:
                github_hooks.process(world.store, world.organization_id)
        github_hooks.process(world.store, world.organization_id)
        ends.append(due(world))
        assert github_hooks.waiting(world.store) == []
    assert ends[0] == ends[1]
    assert all(ends[0][number] for number in IDS)
    pings = sum(event == "ping" for event, _ in EXAMPLES)
    stored = deliveries(world.store)
    assert "forged" not in stored
    assert len(stored) == 2 * (329 - pings)
    with world.store.read() as tx:
        assert connections.get_connection(tx, world.organization_id).pinged_at is not None


def _tampered(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        {"X-Hub-Signature-256": None},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": None, "X-Hub-Signature": "sha1=" + "0" * 40},
        {"X-Hub-Signature-256": "sha256=é"},
    ],
)
def test_what_is_not_signed_is_refused(client: FlaskClient, world: World, change: dict[str, str | None]) -> None:
    body, headers = signed("hush", "push", {"repository": {"id": IDS[0]}}, guid="g-1")
    mixed = {name: value for name, value in (headers | change).items() if value is not None}
    response = send(client, world, body, mixed)
    assert (response.status_code, response.json["code"]) == (401, "bad_signature")
    assert deliveries(world.store) == {}


def test_the_secret_of_another_organization_is_no_good(
    client: FlaskClient, world: World, store: Store, charlie_key: str
) -> None:
    other = World(store, world.peer, world.organization_id + 1, box=world.box)
    other.connect()
    with store.write() as tx:
        secret = {"webhook_secret": world.box.seal("other")}
        connections.change_connection(tx, other.organization_id, secret)
    body, headers = signed("other", "push", {"repository": {"id": IDS[0]}}, guid="g-1")
    assert send(client, world, body, headers).status_code == 401
    assert send(client, other, body, headers).status_code == 202
    github_hooks.process(store, other.organization_id)
    assert not any(due(world).values())


@pytest.mark.parametrize(
    ("body", "changed", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b'"text"', {}, 202),
        (b"[]", {}, 202),
        (b'{"repository": {"id": "x"}}', {}, 202),
        (b'{"repository": {"id": 99999999999999999999999}}', {}, 202),
        (b'{"action": 7}', {}, 202),
        (b"\xff\xfe", {}, 400),
        (b"payload=%7B%7D", {"Content-Type": "application/x-www-form-urlencoded"}, 202),
        (b"other=1", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"X-GitHub-Event": ""}, 400),
        (b"{}", {"X-GitHub-Delivery": "x" * 300}, 400),
        (b"[" * 5_000, {}, 202),
        (b'{"a":' * 100_000, {}, 400),
    ],
)
def test_signed_nonsense(client: FlaskClient, world: World, body: bytes, changed: dict[str, str], status: int) -> None:
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": "g-1"}
    headers |= changed | {"X-Hub-Signature-256": signature_of("hush", body)}
    assert send(client, world, body, headers).status_code == status
    github_hooks.process(world.store, world.organization_id)


def test_a_body_past_the_limit_and_an_address_of_nobody(client: FlaskClient, world: World) -> None:
    _, headers = signed("hush", "push", {}, guid="g-1")
    response = client.post(
        f"/webhooks/github/h{world.organization_id}",
        headers=headers,
        environ_overrides={"CONTENT_LENGTH": str(MAX_BODY + 1), "wsgi.input": _Endless()},
    )
    assert response.status_code == 413
    assert client.post("/webhooks/github/nobody", data=b"{}", headers=headers).status_code == 404


class _Endless:
    """A body that must not be read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def test_the_old_secret_holds_for_a_day(client: FlaskClient, app: Flask, world: World, settings: Settings) -> None:
    new = github_connect.change_webhook_secret(world.store, github_of(settings), world.alice)
    for secret in ("hush", new):
        assert send(client, world, *signed(secret, "push", {}, guid=secret)).status_code == 202
    with world.store.write() as tx:
        over = {"old_secret_until": datetime.now(UTC) - timedelta(seconds=1)}
        connections.change_connection(tx, world.organization_id, over)
    assert send(client, world, *signed("hush", "push", {}, guid="late")).status_code == 401
    assert send(client, world, *signed(new, "push", {}, guid="late")).status_code == 202


def test_a_storm_is_noted_and_worked_off_in_order(client: FlaskClient, world: World) -> None:
    for n in range(300):
        assert (
            send(client, world, *signed("hush", "push", {"repository": {"id": IDS[0]}}, guid=f"g-{n}")).status_code
            == 202
        )
    assert github_hooks.process(world.store, world.organization_id).deliveries == 300


def test_a_hint_does_not_end_a_pause(client: FlaskClient, world: World) -> None:
    with world.store.write() as tx:
        tx.exec_driver_sql("UPDATE github_repositories SET state = 'paused'")
    send(client, world, *signed("hush", "push", {"repository": {"id": IDS[0]}}, guid="g-1"))
    github_hooks.process(world.store, world.organization_id)
    assert not due(world)[IDS[0]]


def test_a_revoked_authorization_is_asked_for_and_only_github_s_answer_counts(
    client: FlaskClient, world: World, app: Flask
) -> None:
    event, example = next(one for one in EXAMPLES if one[0] == "github_app_authorization")
    assert example["action"] == "revoked"

    def deliver(guid: str) -> None:
        """The event comes in, its job runs, and then the list of repositories is asked for, as workers/sync.py does."""
        response = send(client, world, *signed("hush", event, example, guid=guid))
        assert (response.status_code, response.json) == (202, {"status": "noted"})
        done = github_hooks.process(world.store, world.organization_id)
        assert (done.deliveries, list(done.sources), done.list_due) == (1, [], True)
        assert [number for number, is_due in due(world).items() if is_due] == [0], "the list, and no repository"
        github_connect.refresh(world.store, world.github, world.organization_id)

    with world.store.read() as tx:
        before = connections.get_connection(tx, world.organization_id)
        chosen = [row.github_id for row in sync_store.list_sources(tx, world.organization_id) if row.chosen]
    page = signed_in(app, world.store, "alice@example.com")

    world.peer.script(r"GET /user\b", (401, {}, {"message": "Bad credentials"}))
    deliver("g-1")
    with world.store.read() as tx:
        refused = connections.get_connection(tx, world.organization_id)
        kept = [row.github_id for row in sync_store.list_sources(tx, world.organization_id) if row.chosen]
    assert "Bad credentials" in refused.error
    assert (kept, refused.token) == (chosen, before.token), "what was read and chosen stays"
    assert "Nothing is read until that is mended" in page.client.get("/app/acme/github").text

    # Sent by somebody who knows the secret, or of another user of the App: GitHub still takes the credentials.
    world.peer.forget()
    deliver("g-2")
    with world.store.read() as tx:
        assert connections.get_connection(tx, world.organization_id).error is None
    assert "Nothing is read until that is mended" not in page.client.get("/app/acme/github").text
