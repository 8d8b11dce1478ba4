"""kill -9 of the worker, or of the job in it, at random moments while a repository is read for the first time."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from costlens.config import load_settings
from costlens.services.sealing import box
from costlens.store.engine import Store
from costlens.store.organizations import find_organization
from tests.e2e.servers import Server, serving, wait_until
from tests.github import peer as github
from tests.github.peer import Peer, Repo
from tests.github.stored import facts
from tests.services.github_world import World

WHOLE = {"COSTLENS_GITHUB_HORIZON_DAYS": "7300"}  # the facts of a test have dates of their own
LIST = re.compile(r"GET /repos/acme/web/pulls\?.*\bpage=(\d+)")


@dataclass(slots=True)
class Report:
    """What a first walk cost, and what it left."""

    calls: int = 0  # without those for reviews, which come one by one after the walk
    pages_repeated: int = 0  # lists of pull requests that were asked for more than once
    kills: list[str] = field(default_factory=list)  # "worker" or "job"
    seconds: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)


def backfill(
    data: Path,
    repo: Repo,
    kills: int,
    seed: int,
    settings: Mapping[str, str],
    *,
    say: Callable[[str, float], None] = lambda victim, after: None,
) -> Report:
    """Reads a repository over REST with a whole server around, killed so many times. Raises AssertionError."""
    chance = random.Random(seed)
    report = Report()
    with github.serving(repo) as peer:
        peer.delay = 0.004
        ours = {"GITHUB_API_URL": peer.url, "COSTLENS_GITHUB_SOURCE": "rest", **WHOLE, **settings}
        with serving(data, **ours) as server:
            server.organization()
            with server.store() as store:
                world = _connect(store, server, peer)
                started = time.monotonic()
                for _ in range(kills):
                    if not _kill(server, world, chance, report, say):
                        break
                wait_until(lambda: _done(world), 90, lambda: f"{world.row()} {server.log}")
                report.seconds = time.monotonic() - started
                report.found = facts(store)
        report.calls = peer.count() - peer.count("/reviews")
        pages = Counter(int(found[1]) for call in peer.calls if "per_page=25" in call and (found := LIST.search(call)))
        report.pages_repeated = sum(times - 1 for times in pages.values())
    return report


def _connect(store: Store, server: Server, peer: Peer) -> World:
    with store.read() as tx:
        organization = find_organization(tx, "acme")
    assert organization is not None
    world = World(store, peer, organization.id, now=datetime.now(UTC), box=box(load_settings(server.environment)))
    world.connect()
    return world


def _kill(
    server: Server, world: World, chance: random.Random, report: Report, say: Callable[[str, float], None]
) -> bool:
    """Lets the walk go on for a moment and kills; False when it was done before."""
    version = world.row().version
    wait_until(lambda: world.row().version > version or _done(world), 60, lambda: f"{world.row()} {server.log}")
    after = chance.uniform(0.0, 0.4)
    time.sleep(after)
    victim = chance.choice(("worker", "job"))
    wait_until(lambda: server.all("worker"), 20, lambda: server.log)  # the last one may just be starting again
    parent = server.pid("worker")
    jobs = [pid for pid in server.children(parent) if world.row().phase != "idle"]
    if _done(world):
        return False
    with suppress(ProcessLookupError):
        os.kill(parent if victim == "worker" or not jobs else jobs[-1], signal.SIGKILL)
    report.kills.append(victim)
    say(victim, after)
    return True


def _done(world: World) -> bool:
    row = world.row()
    return row.phase == "idle" and row.watermark is not None
