"""Walks and webhooks as jobs on a real queue, against a GitHub that counts.

The worker works in this process: that one is started and killed for real is in tests/e2e.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import ScheduledJobRegistry

from costlens.config import Settings
from costlens.services import github_disconnect, github_hooks, organizations
from costlens.services.sealing import box
from costlens.store import sync as sync_store
from costlens.store.engine import Store
from tests.e2e.github_crash import WHOLE
from tests.e2e.servers import environment, queue_at
from tests.github import peer as github
from tests.github.peer import Peer, history
from tests.github.signing import signed
from tests.github.stored import facts
from tests.services.github_world import World

SOON = timedelta(seconds=5)  # what is planned for so soon belongs to the same work
ROUNDS = 100  # of jobs and what they ask for; a walk here needs fewer than ten


@pytest.fixture(scope="module")
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with queue_at(tmp_path_factory.mktemp("q")) as url:
        yield url


@pytest.fixture
def peer() -> Iterator[Peer]:
    with github.serving(history(40, 5), history(5, 2, name="acme/api", github_id=502)) as serving:
        yield serving


class Workplace:
    """A database, a queue and a GitHub as a worker sees them."""

    def __init__(self, settings: Settings, store: Store, peer: Peer, redis: Redis) -> None:
        self.settings, self.redis = settings, redis
        made = organizations.create_organization(store, "Acme", "alice@example.com", plan="self-hosted")
        self.world = World(store, peer, made.organization.id, now=datetime.now(UTC), box=box(settings))
        self.world.connect()

    def ask(self, name: str, *arguments: int) -> Job:
        return Queue("default", connection=self.redis).enqueue(name, *arguments)

    @property
    def environment(self) -> dict[str, str]:
        ours = {"DATABASE_URL": self.settings.database_url, "REDIS_URL": self.settings.queue_url}
        ours |= {"GITHUB_API_URL": self.world.peer.url, "COSTLENS_GITHUB_SOURCE": "rest", **WHOLE}
        return environment(self.settings.data, **ours)

    def work(self) -> None:
        """Does every job that is there, and what they ask for, in this process."""
        queue = Queue("default", connection=self.redis)
        registry = ScheduledJobRegistry("default", connection=self.redis)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            for _ in range(ROUNDS):
                SimpleWorker([queue], connection=self.redis).work(burst=True, logging_level="ERROR")
                assert queue.failed_job_registry.count == 0
                planned = [Job.fetch(name, connection=self.redis) for name in registry.get_job_ids()]
                due = [job for job in planned if registry.get_scheduled_time(job) < datetime.now(UTC) + SOON]
                if not due:
                    return
                for job in due:
                    registry.remove(job)
                    queue.enqueue_job(job)
            raise AssertionError(f"after {ROUNDS} rounds jobs still ask for more: {registry.get_job_ids()}")


@pytest.fixture
def workplace(settings: Settings, store: Store, queue_url: str, peer: Peer, tmp_path: Path) -> Iterator[Workplace]:
    with Redis.from_url(queue_url) as redis:
        redis.flushall()
        yield Workplace(replace(settings, redis_url=queue_url), store, peer, redis)


def test_the_sweep_reads_what_is_due_to_the_end(workplace: Workplace) -> None:
    workplace.ask("workers.sync.sweep")
    workplace.work()
    assert len(facts(workplace.world.store)["pulls"]) == 45
    rows = [workplace.world.row(number) for number in (501, 502)]
    assert [(row.state, row.phase) for row in rows] == [("ok", "idle")] * 2
    workplace.world.peer.forget()
    workplace.ask("workers.sync.sweep")
    workplace.work()
    assert workplace.world.peer.count() == 0


def test_two_jobs_for_one_repository_read_it_once(workplace: Workplace) -> None:
    row = workplace.world.row()
    with workplace.redis.lock(f"costlens:sync:{row.id}", timeout=60):
        job = workplace.ask("workers.sync.sync_repository", row.organization_id, row.id)
        workplace.work()
        assert job.return_value() == {"pages": 0}
    assert workplace.world.peer.count() == 0


def test_a_webhook_makes_its_repository_due_and_a_processed_one_does_not(workplace: Workplace) -> None:
    workplace.ask("workers.sync.sweep")
    workplace.work()
    world = workplace.world
    repo = world.peer.repo()
    repo.pulls.append(github.a_pull(41, datetime.now(UTC), "bob", state="open"))
    world.peer.forget()
    body, headers = signed("hush", "pull_request", {"action": "opened", "repository": {"id": 501}}, guid="g-1")
    assert receive(workplace, body, headers) == (world.organization_id, True)
    workplace.ask("workers.sync.process_deliveries", world.organization_id)
    workplace.work()
    assert len(facts(world.store)["pulls"]) == 46
    calls = world.peer.count()
    assert calls <= 10
    assert receive(workplace, body, headers) == (world.organization_id, False)
    workplace.ask("workers.sync.process_deliveries", world.organization_id)
    workplace.work()
    assert world.peer.count() == calls


def test_the_sweep_finds_deliveries_that_the_queue_lost(workplace: Workplace) -> None:
    body, headers = signed("hush", "push", {"repository": {"id": 502}}, guid="g-2")
    receive(workplace, body, headers)
    assert github_hooks.waiting(workplace.world.store) == [workplace.world.organization_id]
    workplace.ask("workers.sync.sweep")
    workplace.work()
    assert github_hooks.waiting(workplace.world.store) == []
    with workplace.world.store.read() as tx:
        hinted = [row.hinted_at for row in sync_store.list_sources(tx, workplace.world.organization_id)]
    assert sum(at is not None for at in hinted) == 1


def test_a_paused_walk_is_planned_and_no_worker_sleeps(workplace: Workplace) -> None:
    workplace.world.peer.script("", (429, {"Retry-After": "30"}, None))
    row = workplace.world.row()
    workplace.ask("workers.sync.sync_repository", row.organization_id, row.id)
    workplace.work()
    assert workplace.world.peer.count() == 1
    assert workplace.world.row().state == "paused"
    (planned,) = ScheduledJobRegistry("default", connection=workplace.redis).get_job_ids()
    assert planned.startswith(f"sync-{row.id}-")


def test_the_sweep_finds_who_is_leaving(workplace: Workplace) -> None:
    workplace.ask("workers.sync.sweep")
    workplace.work()
    world = workplace.world
    github_disconnect.disconnect(world.store, world.alice, "Acme")
    workplace.ask("workers.sync.sweep")
    workplace.work()
    assert facts(world.store)["pulls"] == []
    assert github_disconnect.departing(world.store) == []


def receive(workplace: Workplace, body: bytes, headers: dict[str, str]) -> tuple[int, bool]:
    world = workplace.world
    return github_hooks.receive(
        world.store,
        world.box,
        f"h{world.organization_id}",
        body,
        signature=headers["X-Hub-Signature-256"],
        content_type=headers["Content-Type"],
        event=headers["X-GitHub-Event"],
        guid=headers["X-GitHub-Delivery"],
    )
