"""GitHub says no: the right wait, the right state, no sleep, few calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from costlens.domain.sync import BREAKER_FAILURES
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from tests.github import peer as github
from tests.github.peer import Answer, Peer, history
from tests.github.stored import facts
from tests.services.github_world import World

LISTS = r"GET /repos/acme/web/pulls\?"
EVERYTHING = r""
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes"}
PRIMARY = {"message": "API rate limit exceeded for installation ID 1."}


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history(30, 5), history(5, 2, name="acme/api", github_id=502)) as serving:
        yield serving


@pytest.fixture
def world(store: Store, acme: Organization, peer: Peer) -> World:
    made = World(store, peer, acme.id)
    made.connect()
    return made


def resets_in(seconds: int) -> dict[str, str]:
    """The headers of a used-up budget; GitHub's clock goes wrong by a day, which must not matter."""
    clock = datetime.now(UTC) - timedelta(days=1)
    return {
        "X-RateLimit-Limit": "5000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(clock.timestamp()) + seconds),
        "Date": clock.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    }


@pytest.mark.parametrize(
    ("answer", "low", "high", "state", "words"),
    [
        ((403, resets_in(1800), PRIMARY), 1800, 1803, "paused", "hourly rate limit"),
        ((403, {"Retry-After": "37"}, SECONDARY), 37, 37, "paused", "secondary"),
        ((429, {"Retry-After": "90"}, SECONDARY), 90, 90, "paused", "secondary"),
        ((403, {}, SECONDARY), 60, 60, "paused", "slow down"),
        ((429, {}, None), 60, 60, "paused", "slow down"),
        ((429, {"Retry-After": "999999999"}, SECONDARY), 7200, 7200, "paused", "secondary"),
        ((403, {}, {"message": "Resource not accessible by personal access token"}), 0, 0, "waiting", "refuses access"),
        ((451, {}, {"message": "Repository unavailable due to DMCA takedown"}), 0, 0, "waiting", "DMCA"),
        ((401, {}, {"message": "Bad credentials"}), 900, 900, "refused", "Bad credentials"),
        ((422, {}, {"message": "Validation Failed"}), 900, 900, "failing", "Validation Failed"),
    ],
    ids=lambda value: f"{value[0]}-{'-'.join(value[1]) or 'plain'}" if isinstance(value, tuple) else None,
)
def test_one_refusal(world: World, answer: Answer, low: int, high: int, state: str, words: str) -> None:
    world.peer.script(LISTS + r".*per_page=25", answer)
    started = time.monotonic()
    step = world.step()
    assert step.wait is not None
    assert low <= step.wait.total_seconds() <= high
    row = world.row()
    assert (row.state, row.due_at) == (state, world.now + step.wait)
    assert words in row.error
    assert world.peer.count() == 3, "the repository, the probe, and the refused list"
    assert time.monotonic() - started < 20, "nothing waits for GitHub's time to come"
    world.now = row.due_at
    world.walk()
    world.later(hours=7)
    world.walk()
    assert (world.row().state, world.row().error, world.row().failures) == ("ok", None, 0)
    assert len(facts(world.store)["pulls"]) == 30


def test_a_pause_holds_for_all_repositories_of_the_installation(world: World) -> None:
    world.peer.script(LISTS, (403, {"Retry-After": "300"}, SECONDARY))
    world.step()
    calls = world.peer.count()
    for _ in range(4):
        assert world.step(502).wait in (timedelta(seconds=300), None)
    assert world.peer.count() == calls
    row = world.row(502)
    assert (row.state, row.due_at) == ("paused", world.now + timedelta(seconds=300))
    world.later(seconds=300)
    world.walk(502)
    assert world.row(502).state == "ok"
    with world.store.read() as tx:
        (installation,) = sync_store.list_installations(tx, world.organization_id)
    assert (installation.paused_until, installation.pauses) == (None, 0)


def test_a_limit_without_a_time_waits_longer_each_time_and_no_longer_than_two_hours(world: World) -> None:
    world.peer.script(EVERYTHING, *[(403, {}, SECONDARY)] * 12)
    waits = []
    for _ in range(9):
        step = world.step()
        assert step.wait is not None
        waits.append(int(step.wait.total_seconds()))
        world.now += step.wait
    assert waits == [60, 120, 240, 480, 960, 1920, 3840, 7200, 7200]
    assert world.peer.count() == 9


def test_a_failing_github_is_asked_less_and_less_and_the_host_is_left_alone(world: World) -> None:
    world.peer.script(EVERYTHING, *[(502, {}, None)] * 200)
    waits = []
    for _ in range(BREAKER_FAILURES + 1):
        world.now = max(world.now, world.row().due_at)
        step = world.step()
        assert step.wait is not None
        waits.append(int(step.wait.total_seconds()))
    assert waits == [10, 20, 40, 80, 160, 320]
    assert world.row().state == "failing"
    assert world.peer.count() == 12, "each time once more at once, and no more"
    calls = world.peer.count()
    world.step(502)  # the host is known to be away: not even tried
    assert world.peer.count() == calls
    assert "did not answer lately" in world.row(502).error
    world.peer.forget()
    world.later(minutes=20)
    world.walk()
    world.walk(502)
    assert (world.row().state, world.row(502).state) == ("ok", "ok")
    with world.store.read() as tx:
        host = sync_store.get_host(tx, world.peer.url.removeprefix("http://"))
    assert (host.failures, host.open_until) == (0, None)


def test_one_502_is_made_good_at_once(world: World) -> None:
    world.peer.script(LISTS, (502, {}, None))
    world.walk()
    assert (world.row().state, world.row().failures) == ("ok", 0)
    assert world.peer.count(LISTS) == 1 + 1 + 2, "the probe twice, two pages"


def test_trouble_is_over_with_the_next_page(world: World) -> None:
    world.peer.script(LISTS + r".*per_page=25", *[(502, {}, None)] * 2)
    world.step()
    assert (world.row().state, world.row().failures) == ("failing", 1)
    world.later(seconds=10)
    world.step(pages=1)
    row = world.row()
    assert (row.phase, row.state, row.failures, row.error) == ("pulls", "waiting", 0, None)


def test_a_host_that_does_not_answer_at_all(world: World) -> None:
    world.peer.url = "http://127.0.0.1:9"
    step = world.step()
    assert step.wait == timedelta(seconds=10)
    assert world.row().error.startswith("GitHub does not answer")


def test_graphql_halves_its_pages_when_github_fails_at_them(world: World) -> None:
    world.source = "graphql"
    world.peer.script(r"POST /graphql", (502, {}, None), (502, {}, None))
    world.walk()
    assert (world.row().state, len(facts(world.store)["pulls"])) == ("ok", 30)
    assert world.peer.count("graphql") == 2 + 5 + 1, "25 and 12 failed, then 30 by 6, and the commits"


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        ([{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}], "paused"),
        ([{"type": "NOT_FOUND", "message": "Could not resolve to a Repository"}], "waiting"),
        ([{"message": "Something went wrong while executing your query"}], "failing"),
        ([{"message": "Field 'x' doesn't exist on type 'Query'"}], "failing"),
    ],
)
def test_graphql_says_no_with_200(world: World, errors: list[dict[str, Any]], state: str) -> None:
    world.source = "graphql"
    world.peer.script(r"POST /graphql", *[(200, {}, {"data": None, "errors": errors})] * 5)
    world.step()
    assert world.row().state == state


def test_a_revoked_token_of_an_app_is_minted_anew_once(world: World) -> None:
    with world.store.write() as tx:
        connections.keep_installations(tx, world.organization_id, {1: "acme"})
        tx.exec_driver_sql("UPDATE github_repositories SET installation_id = 1")
        key = {"kind": "app", "app_id": 7, "private_key": world.box.seal(app_key())}
        connections.change_connection(tx, world.organization_id, key)
    world.peer.script(r"GET /repositories/501", *[(401, {}, {"message": "Bad credentials"})] * 3)
    assert world.step().wait == timedelta(seconds=10)
    world.later(seconds=10)
    assert world.step().wait == timedelta(minutes=15)
    assert (world.row().state, world.peer.minted) == ("refused", 2)
    with world.store.read() as tx:
        connection = connections.get_connection(tx, world.organization_id)
    assert "Bad credentials" in connection.error
    world.peer.forget()
    world.later(minutes=15)
    world.walk()
    assert (world.row().state, world.peer.minted) == ("ok", 3), "one token serves the whole walk"


def app_key() -> str:
    """The private key of an App."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    made = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return made.decode()
