"""The computed number of calls is the number that GitHub counts, and it is small."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.databases import only_sqlite
from tests.github import peer as github
from tests.github.costs import first_walk, next_walk
from tests.github.peer import START, a_commit, a_pull, history
from tests.services.github_world import World

SOURCES = ("graphql", "rest")


@only_sqlite  # what is counted is the same on both
@pytest.mark.parametrize("source", SOURCES)
def test_the_counted_calls_are_the_computed_ones(store, acme, source: str) -> None:  # type: ignore[no-untyped-def]
    repo = history(130, 250)
    repo.pulls[0] = a_pull(1, START - timedelta(hours=200), "alice", commits=120)
    with github.serving(repo) as peer:
        world = World(store, peer, acme.id, source=source)
        world.connect()
        world.walk()
        reviews = peer.count("/reviews")
        assert reviews == (130 if source == "rest" else 0)
        assert peer.count() - reviews == first_walk(source, 130, 250, long_pulls=1)
        peer.forget()
        world.later(minutes=15)
        world.walk()
        assert (peer.count(), peer.free) == (2, 2)
        peer.forget()
        world.later(minutes=15)
        repo.pulls += [a_pull(number, world.now - timedelta(minutes=1), "bob") for number in (131, 132, 133)]
        repo.commits.insert(0, a_commit("Pushed", world.now, "alice"))
        world.walk()
        assert peer.count() - peer.count("/reviews") == next_walk(source, 3)


@pytest.mark.parametrize(("source", "most"), [("graphql", 500), ("rest", 10_500)])
def test_5000_pull_requests_and_20000_commits(source: str, most: int) -> None:
    tokens = 4  # an installation's token lasts an hour
    assert first_walk(source, 5_000, 20_000) + tokens <= most
