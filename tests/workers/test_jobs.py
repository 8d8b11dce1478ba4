"""The jobs in a real worker on a real queue: link, sweep, age, retry, and a queue that is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import LockError
from rq import Queue
from rq.job import Job
from rq.registry import FailedJobRegistry, ScheduledJobRegistry
from rq.utils import import_attribute

from costlens.config import Settings
from costlens.domain.access import Member
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage, UsageQuality
from costlens.github.snapshot import read_snapshot
from costlens.queue import JobQueue
from costlens.services import health, keys, linking, organizations, rulesets, runs, sync
from costlens.services.ingest import ingest
from costlens.services.prices import set_price
from costlens.store import tables
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.run_changes import Selection
from tests.e2e.facts import REPOSITORY, write_snapshot
from tests.e2e.servers import environment, run, valkey, wait_until
from workers import linking as jobs
from workers import schedule


@dataclass(slots=True)
class Workplace:
    """A database and a queue as a worker sees them."""

    settings: Settings
    store: Store
    redis: Redis
    key: str
    organization: Organization

    @property
    def queue(self) -> Queue:
        return Queue("default", connection=self.redis)

    def work(self, *, database: str | None = None) -> None:
        """Lets a worker do everything that is due, and makes all that is planned due first."""
        registry = planned(self.redis)
        for name in registry.get_job_ids():
            registry.schedule(Job.fetch(name, connection=self.redis), datetime.now(UTC) - timedelta(seconds=1))
        ours = {"DATABASE_URL": database or self.settings.database_url, "REDIS_URL": self.settings.queue_url}
        done = run("worker", "--burst", env=environment(self.settings.data, **ours))
        assert done.returncode == 0, done.stderr

    def store_runs(self, *, pull: int | None, count: int = 1, at: datetime | None = None) -> int:
        """Stores runs that name the repository and this pull request; answers the repository's id."""
        at = at or datetime.now(UTC)
        usage = Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT)
        items = [
            RunInput("openai", "gpt-5.4", usage, at, repository=REPOSITORY, pr_number=pull, branch=f"change-{pull}")
            for _ in range(count)
        ]
        done = ingest(self.store, keys.authenticate(self.store, self.key, "ingest"), items, now=at)
        (repository,) = done.repositories
        return repository

    def counted(self) -> int:
        return len(runs.page_of_links(self.store, self.organization.id, limit=1_000, state="counted").rows)

    def states(self) -> list[str]:
        where = runs.RunFilter()
        return [row.link_state for row in runs.page_of_runs(self.store, self.organization, where, limit=100).rows]

    def import_pulls(self, folder: Path, *numbers: int) -> None:
        lines = write_snapshot(folder / "pulls.jsonl", *numbers).read_bytes().splitlines()
        sync.import_records(self.store, self.organization.id, read_snapshot(lines))


@pytest.fixture(scope="module")
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("q")
    path = folder / "s"
    with valkey(folder, "--port", "0", "--unixsocket", str(path)):
        wait_until(path.exists, 5)
        yield f"unix://{path}"


@pytest.fixture
def redis(queue_url: str) -> Iterator[Redis]:
    """The queue's server, empty."""
    with Redis.from_url(queue_url) as opened:
        opened.flushall()
        yield opened


@pytest.fixture
def workplace(settings: Settings, store: Store, queue_url: str, redis: Redis) -> Workplace:
    made = organizations.create_organization(store, "Acme", "alice@example.com", plan="self-hosted")
    return Workplace(replace(settings, redis_url=queue_url), store, redis, made.api_key, made.organization)


def planned(redis: Redis) -> ScheduledJobRegistry:
    """Jobs that wait for their time."""
    return ScheduledJobRegistry("default", connection=redis)


def test_link_repository_links_runs_to_their_pull_request(workplace: Workplace, tmp_path: Path) -> None:
    repository = workplace.store_runs(pull=1, count=3)
    workplace.import_pulls(tmp_path, 1)
    assert JobQueue(workplace.settings.queue_url).link_soon(workplace.organization.id, repository)
    assert workplace.counted() == 0
    workplace.work()
    assert workplace.counted() == 3
    assert workplace.states() == ["counted"] * 3
    assert workplace.redis.keys("rq:job:*") == [], "a finished job leaves nothing behind"


def test_requests_within_a_second_give_one_job(queue_url: str, redis: Redis) -> None:
    wait_until(lambda: time.time() % 1 < 0.3, 2)  # so that all calls fall into one second
    first, second = JobQueue(queue_url), JobQueue(queue_url)
    assert all(queue.link_soon(1, 1) for queue in (first, first, second, second))
    assert first.link_soon(1, 2)
    assert len(planned(redis).get_job_ids()) == 2


def test_a_request_in_a_later_second_gives_a_job_of_its_own(queue_url: str, redis: Redis) -> None:
    queue = JobQueue(queue_url)
    assert queue.link_soon(1, 1)
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, 2)
    assert queue.link_soon(1, 1)
    assert len(planned(redis).get_job_ids()) == 2


def test_sweep_links_runs_that_the_queue_missed(workplace: Workplace, tmp_path: Path) -> None:
    missed = datetime.now(UTC) - linking.UNSEEN_AFTER - timedelta(seconds=5)
    workplace.store_runs(pull=1, at=missed)
    workplace.import_pulls(tmp_path, 1)
    job = workplace.queue.enqueue("workers.linking.sweep")
    workplace.work()
    assert job.return_value() == 1
    assert workplace.states() == ["counted"]
    assert linking.waiting(workplace.store) == []
    again = workplace.queue.enqueue("workers.linking.sweep")
    workplace.work()
    assert again.return_value() == 0


def test_sweep_leaves_young_runs_to_their_own_job(workplace: Workplace) -> None:
    workplace.store_runs(pull=1)
    job = workplace.queue.enqueue("workers.linking.sweep")
    workplace.work()
    assert job.return_value() == 0


def test_new_rules_are_compared_and_tested(workplace: Workplace, tmp_path: Path) -> None:
    repository = workplace.store_runs(pull=1, count=3)
    workplace.import_pulls(tmp_path, 1)
    linking.link_repository(workplace.store, workplace.organization.id, repository)
    owner = Member(workplace.organization.id, 1, 1, "alice@example.com", "owner")
    rulesets.propose(workplace.store, owner, 900, {"B1": "off"})
    queue = JobQueue(workplace.settings.queue_url)
    assert queue.begin("workers.rulesets.compare", job_id="compare-1", seconds=60)
    assert queue.run_soon("workers.rulesets.calibrate_one", workplace.organization.id)
    workplace.work()
    found = rulesets.linking_of(workplace.store, workplace.organization.id)
    assert (found.draft.runs_done, found.draft.difference) == (3, [])  # explicit ids decide
    assert found.measured_at is not None
    again = [workplace.queue.enqueue(f"workers.rulesets.{name}") for name in ("compare", "calibrate")]
    workplace.work()
    assert [job.return_value() for job in again] == [0, sum(line.tally.tested for line in found.lines if line.tally)]


def test_age_pending_makes_runs_without_a_pull_request_unlinked(workplace: Workplace) -> None:
    old = datetime.now(UTC) - timedelta(days=31)
    repository = workplace.store_runs(pull=None, at=old)
    linking.link_repository(workplace.store, workplace.organization.id, repository, now=old)
    assert workplace.states() == ["pending"]
    job = workplace.queue.enqueue("workers.linking.age_pending")
    workplace.work()
    assert job.return_value() == 1
    assert workplace.states() == ["unlinked"]


def test_verify_and_repair_puts_spoiled_sums_right_and_readyz_tells(workplace: Workplace) -> None:
    workplace.store_runs(pull=1, count=3)
    with workplace.store.write() as tx:
        tx.execute(tables.rollup_day.update().values(runs=9))
    job = workplace.queue.enqueue("workers.ledger.verify_and_repair")
    workplace.work()
    assert job.return_value() == {"acme": {"rollup_day": 1}}
    assert health.rollups(workplace.store)["drift"] == 1
    again = workplace.queue.enqueue("workers.ledger.verify_and_repair")
    workplace.work()
    assert again.return_value() == {"acme": {}}
    assert health.rollups(workplace.store)["drift"] == 0


def test_reprice_runs_prices_what_a_request_left_to_it(workplace: Workplace) -> None:
    at, house = datetime.now(UTC), "house-model"
    run = RunInput("openai", house, Usage(1_000, 0, 0, 0, 200, 0, UsageQuality.EXACT), at)
    ingest(workplace.store, keys.authenticate(workplace.store, workplace.key, "ingest"), [run] * 3, now=at)
    organization = workplace.organization
    picos = {"input_uncached": 1_000_000, "output_text": 10_000_000}
    set_price(
        workplace.store, organization.id, "openai", house, effective_from=None, alias_of=None, picos=picos, by="alice"
    )
    queue = JobQueue(workplace.settings.queue_url)
    assert queue.reprice_soon(organization.id, asdict(Selection(provider="openai", model=house)), "alice")
    workplace.work()
    found = runs.totals(workplace.store, organization.id, runs.RunFilter(model=house))
    assert (found.cost_nanos, found.unpriced) == (3 * 3_000_000, 0)


def test_every_periodic_job_can_be_found_by_a_worker() -> None:
    names = [job.name for job in schedule.PERIODIC]
    linking_and_sums = {"workers.linking.sweep", "workers.linking.age_pending", "workers.ledger.verify_and_repair"}
    rules = {"workers.rulesets.calibrate", "workers.rulesets.compare", "workers.reports.sweep"}
    syncing = {"workers.comments.sweep"} | {f"workers.sync.{name}" for name in ("sweep", "redeliver", "reseal")}
    assert linking_and_sums | rules | syncing == set(names)
    assert all(callable(import_attribute(name)) for name in names)


def test_a_failing_job_is_tried_again_and_then_kept_among_the_failed(
    workplace: Workplace, engine: str, tmp_path: Path
) -> None:
    assert JobQueue(workplace.settings.queue_url).link_soon(workplace.organization.id, 1)
    (name,) = planned(workplace.redis).get_job_ids()
    failed = FailedJobRegistry("default", connection=workplace.redis)
    nowhere = tmp_path / "nowhere"
    broken = {"sqlite": f"sqlite:///{nowhere}/x.db", "postgresql": f"postgresql://costlens@/x?host={nowhere}"}[engine]
    for left in (2, 1, 0):
        workplace.work(database=broken)
        assert Job.fetch(name, connection=workplace.redis).retries_left == left
        assert planned(workplace.redis).get_job_ids() == [name]
        assert failed.get_job_ids() == []
    workplace.work(database=broken)
    assert failed.get_job_ids() == [name]
    assert planned(workplace.redis).get_job_ids() == []


def test_the_lock_of_a_pass_is_renewed_while_it_runs_and_short_when_it_is_killed(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOCK_SECONDS", 0.6)
    monkeypatch.setattr(jobs, "WAIT_SECONDS", 0.1)
    with jobs.alone(redis, "one"):
        for _ in range(5):
            time.sleep(0.3)
            assert 0 < redis.pttl("one") <= 600
            with pytest.raises(LockError), jobs.alone(redis, "one"):
                pass
    assert not redis.exists("one")
    with jobs.alone(redis, "one"):
        pass


@pytest.mark.parametrize("url", ["unix:///nonexistent/queue.sock", "redis://127.0.0.1:1/0", "redis://192.0.2.1:6379/0"])
def test_a_queue_that_is_away_is_told_soon_then_at_once_and_never_raised(url: str) -> None:
    queue = JobQueue(url)
    started = time.monotonic()
    assert queue.link_soon(1, 1) is False
    assert time.monotonic() - started < 1.5
    started = time.monotonic()
    assert [queue.link_soon(1, number) for number in range(1, 50)] == [False] * 49
    assert time.monotonic() - started < 0.05
