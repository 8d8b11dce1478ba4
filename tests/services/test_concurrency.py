"""Several writers at once, each with connections of its own: one run a key, no deadlock, right sums."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from costlens.domain.errors import CostLensError
from costlens.domain.names import identities_of
from costlens.domain.runs import RunInput
from costlens.services.ingest import Accepted
from costlens.services.linking import decide_links, link_repository
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.identity import person_ids
from tests.services.ledger import (
    NOW,
    Ledger,
    a_commit,
    a_pull,
    a_run,
    check_buckets,
    check_sums,
    open_ledger,
    tokens,
)

THREADS = 6


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Does all of them at the same time, and answers what each did; an error of any is raised."""
    ready = threading.Barrier(len(works))

    def start(work: Callable[[], Any]) -> Any:
        ready.wait(10)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(start, work) for work in works]]


def accepted(results: Sequence[Accepted | CostLensError]) -> list[Accepted]:
    good = [result for result in results if isinstance(result, Accepted)]
    assert len(good) == len(results), results
    return good


def test_one_request_from_many_writers_is_one_run(ledger: Ledger) -> None:
    for name in ("r1", "r2", "r3"):
        run = a_run(request_id=name, client_id=f"c-{name}", repository=f"acme/{name}", actor=f"new-{name}")
        found = at_once([lambda run=run: accepted(ledger.send(run))[0]] * THREADS)  # type: ignore[misc]
        assert len({one.run["id"] for one in found}) == 1
        assert sum(one.new for one in found) == 1
    assert len(ledger.rows(t.runs)) == 3
    assert len(ledger.rows(t.repositories)) == 3
    people = {row["person_id"] for row in ledger.rows(t.identities)}
    assert {row["person_id"] for row in ledger.rows(t.runs)} <= people == {row["id"] for row in ledger.rows(t.people)}


def test_batches_in_opposite_order_do_not_wait_for_each_other(ledger: Ledger) -> None:
    batch = [
        a_run(request_id=f"r{n}", actor=f"dev{n}", repository=f"acme/{n % 5}", provider=("openai", "azure")[n % 2])
        for n in range(40)
    ]
    found = at_once([lambda step=step: accepted(ledger.send(*batch[::step])) for step in (1, -1) * 3])  # type: ignore[misc]
    assert sum(one.new for results in found for one in results) == 40
    assert len(ledger.rows(t.runs)) == 40


def test_sources_that_tell_of_one_call_at_once_are_merged(ledger: Ledger) -> None:
    sources = ("api", "sdk", "otlp", "proxy", "codex", "import")

    def tell(number: int, source: str) -> RunInput:
        return a_run(request_id=f"r{number}", source=source, usage=tokens(1000 + number, 10), latency_ms=number + 1)

    for number in range(5):
        at_once([lambda s=source, n=number: accepted(ledger.send(tell(n, s))) for source in sources])  # type: ignore[misc]
    assert [row["request_id"] for row in ledger.rows(t.runs)] == [f"r{number}" for number in range(5)]


def test_linking_deciding_importing_and_merging_at_once(ledger: Ledger) -> None:
    commits = [a_commit(f"{n}".rjust(40, "a"), NOW) for n in range(4)]
    organization, store = ledger.organization.id, ledger.store

    def pulls(body: str) -> list[Any]:
        return [a_pull(n + 1, commit, body=body) for n, commit in enumerate(commits)]

    import_records(store, organization, pulls("CostLens-Session: s1"), now=NOW)
    runs = [a_run(request_id=f"r{n}", repository="acme/web", actor="alice", session_id=f"s{n % 3}") for n in range(30)]
    stored = [one.run["id"] for one in accepted(ledger.send(*runs))]
    repository = ledger.repository("acme/web")
    with store.read() as tx:
        pull = tx.execute(select(func.min(t.pull_requests.c.id))).scalar_one()

    def merge(step: int) -> Any:
        for n in range(0, 30, 3)[::step]:
            said = a_run(request_id=f"r{n}", source="otlp", usage=tokens(1100 + n, 10), pr_number=n % 4 + 1)
            accepted(ledger.send(said, a_run(request_id=f"r{n + 1}", source="proxy", usage=tokens(900, 9))))

    def decide() -> None:
        for run_id in stored[:6]:
            decide_links(
                store, organization, run_id, repository_id=repository, decisions={pull: True},
                by="alice@example.com", now=NOW,
            )  # fmt: skip

    def merge_people() -> None:
        for one, other in (("alice", "bob"), ("bob", "carol")):
            both = identities_of(login=one, email=f"{other}@example.com")
            store.transact(lambda tx, both=both: person_ids(tx, organization, [both], NOW))

    def link() -> None:
        for _ in range(4):
            link_repository(store, organization, repository, now=NOW, full=True)

    def bring() -> None:
        for body in ("CostLens-Session: s2", "CostLens-Run: r5", ""):
            import_records(store, organization, pulls(body), now=NOW)

    at_once(
        [
            lambda: merge(1),
            lambda: merge(-1),
            decide,
            merge_people,
            link,
            link,
            bring,
            lambda: accepted(ledger.send(*runs)),
        ]
    )
    check_sums(ledger)
    link_repository(store, organization, repository, now=NOW, full=True)
    assert {row["run_id"] for row in ledger.rows(t.links) if row["rule"] == "M1" and row["valid_to"] is None} == {
        *stored[:6]
    }
    assert link_repository(store, organization, repository, now=NOW, full=True).changed == 0
    people = {row["id"] for row in ledger.rows(t.people)}
    assert {row["person_id"] for row in ledger.rows(t.runs)} <= people
