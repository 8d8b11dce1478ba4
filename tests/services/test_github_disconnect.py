"""Letting go of GitHub: in pieces, killed after any of them, and exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from costlens.domain.errors import Conflict, InvalidInput, NotFound
from costlens.domain.roi import Window
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.github.snapshot import read_snapshot
from costlens.services import github_connect, github_disconnect, github_hooks, github_walk, linking
from costlens.services.ingest import ingest
from costlens.services.keys import authenticate
from costlens.services.reports import roi_report
from costlens.services.sync import import_records
from costlens.services.verify import check
from costlens.store import connections, departures
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization
from tests.github import peer as github
from tests.github.peer import START, Peer, history, snapshot_lines
from tests.github.stored import facts
from tests.services.github_world import World

USED = Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT)


class Killed(Exception):
    """The process ends here."""


class Mortal(Store):
    """A database whose process is killed in the transaction after so many."""

    lives: int | None = None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with super().write() as tx:
            yield tx
            if self.lives is not None:
                self.lives -= 1
                if self.lives < 0:
                    raise Killed


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history(7, 4), history(3, 1, name="acme/api", github_id=502)) as serving:
        yield serving


@pytest.fixture
def world(store: Store, acme: Organization, peer: Peer, alice_key: str) -> World:
    """Two connected repositories and one from a file, with runs that are linked to all of them."""
    kept = history(2, 1, name="acme/kept", github_id=900)
    # Runs that name no repository: of a connected one, of the kept one, and of both.
    peer.repo(502).pulls[0]["body"] = "CostLens-Run: of-api"
    peer.repo(501).pulls[0]["body"] = "CostLens-Run: of-both"
    kept.pulls[0]["body"] = "CostLens-Run: of-kept\nCostLens-Run: of-both"
    made = World(store, peer, acme.id)
    made.connect()
    import_records(store, acme.id, read_snapshot(snapshot_lines(kept)))
    for number in (501, 502):
        made.walk(number)
    at = START - timedelta(hours=3)
    runs = [
        RunInput("openai", "gpt-5.4", USED, at - timedelta(minutes=n), repository=name, pr_number=1 + n % 7, branch="x")
        for name in ("acme/web", "acme/kept")
        for n in range(8)
    ]
    runs += [
        RunInput("openai", "gpt-5.4", USED, at, request_id=f"of-{name}", correlation_id=f"c-{name}")
        for name in ("api", "kept", "both")
    ]
    ingest(store, authenticate(store, alice_key, "ingest"), runs, now=made.now)
    link_all(made)
    assert len(states(made)["counted"]) == 8 + 3 + 3, "eight of acme/web, three of acme/kept, three of none"
    return made


def link_all(world: World, *, full: bool = False) -> int:
    """A pass over everything; answers how many runs changed."""
    with world.store.read() as tx:
        ids = [row.id for row in tx.execute(select(t.repositories))]
    passes = [
        linking.link_repository(world.store, world.organization_id, number, now=world.now, full=full)
        for number in (0, *ids, 0)
    ]
    return sum(one.changed for one in passes)


def states(world: World) -> dict[str, list[str]]:
    """Runs by link state, each as its repository, or its request id where it names none."""
    found: dict[str, list[str]] = {}
    with world.store.read() as tx:
        names = {row.id: row.name for row in tx.execute(select(t.repositories))}
        for row in tx.execute(select(t.runs).order_by(t.runs.c.id)):
            found.setdefault(row.link_state, []).append(names.get(row.repository_id) or row.request_id)
    return found


def finish(world: World) -> None:
    while github_disconnect.go_on(world.store, world.organization_id, now=world.now):
        pass


def leave(world: World) -> None:
    github_disconnect.disconnect(world.store, world.alice, "Acme", now=world.now)


def assert_gone(world: World) -> None:
    """Nothing of the connected repositories is left, all of the kept one is, and every sum is right."""
    found = facts(world.store)
    for kind, kept in (("pulls", 2), ("commits", 6), ("mentions", 8)):
        assert [row["repository"] for row in found[kind]] == ["acme/kept"] * kept, kind
    told = {row["name"]: row["github_id"] for row in found["repositories"]}
    assert told == {"acme/web": None, "acme/api": None, "acme/kept": 900}
    after = states(world)
    assert sorted(after["counted"]) == ["acme/kept"] * 3 + ["of-both", "of-kept"]
    assert (len(after["pending"]), len(after["unlinked"])) == (8 + 5, 1)
    with world.store.read() as tx:
        ids = {row.name: row.id for row in tx.execute(select(t.repositories))}
        assert {row.repository_id for row in tx.execute(select(t.links))} == {ids["acme/kept"]}
        known = set(tx.execute(select(t.pull_requests.c.id)).scalars())
        summed = select(t.rollup_links.c.pull_request_id).where(t.rollup_links.c.runs != 0)
        assert set(tx.execute(summed).scalars()) == known | {0}
        for table in (t.github_connections, t.github_installations, t.github_repositories, t.github_deliveries,
                      t.github_departures):  # fmt: skip
            assert tx.scalar(select(func.count()).select_from(table)) == 0, table.name
    assert check(world.store, world.organization_id).findings == ()
    assert link_all(world, full=True) == 0, "a pass over everything finds nothing to change"
    assert check(world.store, world.organization_id).findings == ()


def test_what_was_read_is_deleted_and_the_runs_stay(world: World) -> None:
    leave(world)
    shown = github_connect.connected(world.store, world.organization_id)
    assert (shown.connection, shown.departure.total) == (None, None)
    finish(world)
    assert_gone(world)
    assert github_connect.connected(world.store, world.organization_id).departure is None


def test_meanwhile_money_of_what_is_gone_is_no_pull_request_s(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "PULLS", 3)
    monkeypatch.setattr(github_disconnect, "RUNS", 3)
    row, pull = t.rollup_links.c, t.pull_requests.c
    gone = []
    leave(world)
    while github_disconnect.go_on(world.store, world.organization_id, seconds=0, now=world.now):
        with world.store.read() as tx:
            counted = tx.execute(select(row.pull_request_id, row.cost_nanos).where(row.state == "counted")).all()
            known = set(tx.scalars(select(pull.id)))
        gone.append(sum(cost for id, cost in counted if id and id not in known))
        direct = sum(cost for id, cost in counted if id not in known)
        span = Window(START.date() - timedelta(days=2), START.date() + timedelta(days=2), "UTC")
        spend = roi_report(world.store, world.organization_id, "team", window=span).total.spend
        assert (spend.direct, spend.counted) == (direct, sum(cost for _, cost in counted))
    assert max(gone) > 0
    assert gone[-1] == 0


def test_killed_in_every_transaction_it_ends_as_if_it_had_not_been(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MENTIONS", "PULLS", "COMMITS", "LINKS", "DELIVERIES"):
        monkeypatch.setattr(departures, name, 3)
    monkeypatch.setattr(github_disconnect, "RUNS", 3)
    with world.store.write() as tx:
        for n in range(3):
            head = {"organization_id": world.organization_id, "guid": str(n), "event": "push", "action": None}
            connections.add_delivery(tx, head | {"github_id": 501, "received_at": world.now})
    leave(world)
    mortal = Mortal(world.store.engine.url.render_as_string(hide_password=False))
    deaths, shown = 0, [0]
    try:
        for turn in range(300):
            mortal.lives = turn % 4
            try:
                left = github_disconnect.go_on(mortal, world.organization_id, now=world.now)
            except Killed:
                deaths += 1
                departure = github_connect.connected(world.store, world.organization_id).departure
                shown.append(departure.done if departure else shown[-1])
                continue
            assert not left
            break
        else:
            raise AssertionError("it does not end")
    finally:
        mortal.close()
    assert deaths > 10
    assert shown == sorted(shown)
    assert_gone(world)


def test_another_organization_keeps_everything(world: World, store: Store, charlie_key: str) -> None:
    with store.read() as tx:
        theirs = tx.execute(select(t.organizations.c.id).where(t.organizations.c.slug == "initech")).scalar_one()
    import_records(store, theirs, read_snapshot(snapshot_lines(history(2, 1))))
    run = RunInput("openai", "gpt-5.4", USED, START - timedelta(hours=3), repository="acme/web", pr_number=1)
    ingest(store, authenticate(store, charlie_key, "ingest"), [run], now=world.now)
    with store.read() as tx:
        of_theirs = t.repositories.c.organization_id == theirs
        number = tx.execute(select(t.repositories.c.id).where(of_theirs)).scalar_one()
    linking.link_repository(store, theirs, number, now=world.now)
    before = kept_of(store, theirs)
    leave(world)
    finish(world)
    assert kept_of(store, theirs) == before
    assert len(before["links"]) == 1


def kept_of(store: Store, organization_id: int) -> dict[str, list[Any]]:
    with store.read() as tx:
        return {
            table.name: tx.execute(select(table).where(table.c.organization_id == organization_id)).all()
            for table in (t.repositories, t.pull_requests, t.commits, t.mentions, t.links, t.runs)
        }


def test_a_page_that_is_on_its_way_is_not_stored(world: World, peer: Peer) -> None:
    peer.repo(501).pulls.append(github.a_pull(8, START + timedelta(minutes=30), "bob"))
    world.later(hours=1)
    calls = 0

    def clock() -> datetime:
        nonlocal calls
        calls += 1
        if peer.count("/pulls/8/") == 1:  # the page was read, and is about to be stored
            leave(world)
            finish(world)
        return world.now

    peer.forget()
    github_walk.advance(world.store, world.github, world.organization_id, world.row().id, clock=clock)
    assert peer.count("/pulls/8/") >= 1
    assert_gone(world)


def test_a_list_that_is_on_its_way_is_not_stored(world: World, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    def and_leaves(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*given: Any) -> Any:
            told = ask(*given)
            leave(world)
            finish(world)
            return told

        return asked

    monkeypatch.setattr(github_connect, "token_repositories", and_leaves(github_connect.token_repositories))
    assert github_connect.refresh(world.store, world.github, world.organization_id) == 0
    assert_gone(world)


def test_meanwhile_nothing_is_read_and_nobody_connects(world: World, peer: Peer) -> None:
    source = world.row()
    with pytest.raises(InvalidInput):
        github_disconnect.disconnect(world.store, world.alice, "acme")
    leave(world)
    peer.forget()
    later = datetime.now(UTC) + timedelta(days=1)
    assert github_walk.due(world.store, later) == []
    assert github_connect.lists_due(world.store, later) == []
    assert github_disconnect.departing(world.store) == [world.organization_id]
    with pytest.raises(NotFound):
        github_hooks.receive(
            world.store, world.box, f"h{world.organization_id}", b"{}",
            signature="", content_type="application/json", event="push", guid="1",
        )  # fmt: skip
    with pytest.raises(NotFound):
        github_disconnect.disconnect(world.store, world.alice, "Acme")
    with pytest.raises(NotFound):
        github_connect.read_again(world.store, world.organization_id, source.id)
    with pytest.raises(Conflict, match="still being deleted"):
        github_connect.connect_token(world.store, world.github, world.alice, "github_pat_new")
    assert peer.count() == 0
    finish(world)
    assert github_connect.connect_token(world.store, world.github, world.alice, "github_pat_new") == 2
