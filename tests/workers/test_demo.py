"""The demo organization loaded and removed by a real worker, and what is left of it: nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from rq import Queue
from sqlalchemy import func, select

from costlens.config import Settings
from costlens.demo import Demo, generate
from costlens.demo.inputs import run_input
from costlens.queue import JobQueue
from costlens.services import demo, verify
from costlens.services.organizations import create_organization
from costlens.services.shell import own_demo
from costlens.store import organizations as org_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.web.api.bodies import read_batch
from tests.e2e.servers import environment, queue_at, run

UNTIL = date(2026, 11, 20)


@pytest.fixture(scope="module")
def made() -> Demo:
    """A week of it."""
    return generate(UNTIL, days=7)


def rows(store: Store) -> dict[str, int]:
    """Rows of every table."""
    with store.read() as tx:
        return {each.name: tx.scalar(select(func.count()).select_from(each)) or 0 for each in t.metadata.sorted_tables}


def user_id(store: Store, email: str) -> int:
    with store.read() as tx:
        user = org_store.find_user(tx, email)
    assert user is not None
    return user.id


def load(store: Store, made: Demo, owner: str, told: list[tuple[str, int, int]] | None = None) -> Organization:
    heard = [] if told is None else told
    return demo.load(
        store,
        made,
        owner=owner,
        plan="self-hosted",
        link=lambda *_: None,
        progress=lambda *step: heard.append(step),
    )


def test_runs_are_those_that_a_server_reads_from_the_same_bodies(made: Demo) -> None:
    for _, bodies in made.batches:
        sent = read_batch(msgspec.json.encode({"runs": bodies}), len(bodies), lambda provider, model: 0.8)
        assert [run_input(body, lambda provider, model: 0.8) for body in bodies] == sent


def test_all_of_it_is_stored_and_the_sums_agree(store: Store, made: Demo) -> None:
    told: list[tuple[str, int, int]] = []
    organization = load(store, made, "alice@example.com", told)
    assert organization.demo
    there = rows(store)
    assert there["runs"] == sum(len(bodies) for _, bodies in made.batches) > 1_000
    assert there["teams"] == len(made.teams)
    assert there["pull_requests"] > 50
    assert list(dict.fromkeys(what for what, _, _ in told)) == [
        "Organization",
        "GitHub's facts",
        "Runs",
        "Links, by repository",
    ]
    assert all(0 <= done <= total for _, done, total in told)
    assert not verify.check(store, organization.id).by_rollup


def test_removed_nothing_of_it_is_left(store: Store, made: Demo) -> None:
    create_organization(store, "Initech", "charlie@example.com", plan="self-hosted")
    before = rows(store)
    organization = load(store, made, "charlie@example.com")
    assert demo.remove(store, organization.id)
    after = rows(store)
    assert after.pop("sign_in_links") == before.pop("sign_in_links") + 1  # of the account, which stays
    assert after == before
    assert not demo.remove(store, organization.id)


def test_another_organization_is_not_removed_as_a_demo(store: Store) -> None:
    own = create_organization(store, "Initech", "charlie@example.com", plan="self-hosted").organization
    before = rows(store)
    assert not demo.remove(store, own.id)
    assert rows(store) == before


def test_a_second_load_takes_the_place_of_ones_own_and_leaves_that_of_others(store: Store, made: Demo) -> None:
    small = replace(made, batches=made.batches[:1], snapshot=made.snapshot[:5])
    first = load(store, small, "alice@example.com")
    other = load(store, small, "charlie@example.com")
    again = load(store, small, "alice@example.com")
    with store.read() as tx:
        there = {organization.id: organization.name for organization in org_store.list_organizations(tx)}
    assert first.id not in there
    assert {other.id, again.id} == there.keys()
    assert len(set(there.values())) == 2
    found = own_demo(store, user_id(store, "charlie@example.com"))
    assert found is not None
    assert found.id == other.id


# In a worker.


@pytest.fixture
def queued(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings, with a queue of this test."""
    with queue_at(tmp_path_factory.mktemp("q")) as address:
        yield replace(settings, redis_url=address)


def work(settings: Settings, **extra: str) -> None:
    """Lets a worker do all that waits."""
    ours = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.queue_url} | extra
    done = run("worker", "--burst", env=environment(settings.data, **ours), seconds=300)
    assert done.returncode == 0, done.stderr


def begin(queue: JobQueue, what: str, *arguments: int) -> bool:
    return queue.begin(f"workers.demo.{what}", *arguments, job_id=f"demo-{what}", seconds=300)


def test_a_worker_loads_links_and_removes_it(queued: Settings, store: Store) -> None:
    create_organization(store, "Acme", "alice@example.com", plan="free")
    owner = user_id(store, "alice@example.com")
    before = rows(store)
    queue = JobQueue(queued.queue_url)
    assert begin(queue, "load", owner, 14)
    state = queue.state("demo-load")
    assert state is not None
    assert state.status == "waiting"
    work(queued)
    assert queue.state("demo-load") is None
    organization = own_demo(store, owner)
    assert organization is not None
    assert organization.name == "Acme demo"
    assert demo.unlinked_runs(store, organization.id) == 0
    there = rows(store)
    assert there["runs"] > 5_000
    assert there["links"] > 1_000
    assert begin(queue, "remove", organization.id)
    work(queued)
    after = rows(store)
    assert {name for name in before if after[name] != before[name]} == {"sign_in_links"}


def test_a_job_that_failed_says_so_and_can_be_asked_for_again(queued: Settings, store: Store) -> None:
    queue = JobQueue(queued.queue_url)
    assert begin(queue, "load", 999_999)  # nobody's
    work(queued)
    state = queue.state("demo-load")
    assert state is not None
    assert state.status == "failed"
    assert begin(queue, "load", 999_999)
    again = queue.state("demo-load")
    assert again is not None
    assert again.status == "waiting"
    with Redis.from_url(queued.queue_url) as connection:
        assert Queue("default", connection=connection).get_job_ids() == ["demo-load"]


def test_asked_for_twice_it_is_one_job(queued: Settings) -> None:
    queue = JobQueue(queued.queue_url)
    assert begin(queue, "remove", 1)
    assert begin(queue, "remove", 1)
    with Redis.from_url(queued.queue_url) as connection:
        assert Queue("default", connection=connection).get_job_ids() == ["demo-remove"]


def test_a_queue_that_is_away_takes_no_job_and_says_so(tmp_path: Path) -> None:
    queue = JobQueue("unix:///nonexistent/queue.sock")
    assert not begin(queue, "load", 1)
    state = queue.state("demo-load")
    assert state is not None
    assert state.status == "away"
