"""Group commit: everyone's own answer, everything once, one failure for one cause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError

from costlens.domain.errors import Unavailable
from costlens.services.group_commit import GroupCommit
from costlens.services.ingest import Accepted, ingest
from costlens.services.keys import authenticate
from costlens.services.organizations import create_organization
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store, Tx
from costlens.store.organizations import KeyRow
from tests.databases import refuse
from tests.services.ledger import NOW, Ledger, a_run, check_buckets, check_sums, open_ledger, tokens

NUMBERS = Table("numbers", MetaData(), Column("number", Integer, primary_key=True))
POISON = 13


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


class Recorder:
    """Stores numbers and answers each with its double; while `held` is taken, a transaction stays open."""

    def __init__(self, store: Store, **limits: int) -> None:
        self.store = store
        self.groups: list[tuple[int, ...]] = []
        self.held = threading.Lock()
        self.fault: Callable[[Sequence[int]], None] = lambda _: None
        self.line = GroupCommit[int, int](self.record, **limits)
        with store.write() as tx:
            NUMBERS.create(tx)

    def record(self, tx: Tx, numbers: Sequence[int]) -> list[int]:
        self.groups.append(tuple(numbers))
        with self.held:
            tx.execute(insert(NUMBERS), [{"number": number} for number in numbers])
            self.fault(numbers)
        return [2 * number for number in numbers]

    def stored(self) -> list[int]:
        with self.store.read() as tx:
            return list(tx.scalars(select(NUMBERS.c.number).order_by(NUMBERS.c.number)))

    def together(self, pool: ThreadPoolExecutor, numbers: Sequence[int], weight: int = 1) -> list[Future[int]]:
        """Submits a first one that is held inside its transaction, and the others while it is."""
        with self.held:
            futures = [pool.submit(self.line.submit, self.store, numbers[0], weight)]
            until(lambda: bool(self.groups))
            for number in numbers[1:]:
                futures.append(pool.submit(self.line.submit, self.store, number, weight))
                until(lambda: len(self.line._line) == len(futures) - 1 or futures[-1].done())
        return futures


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as opened:
        yield opened


def test_those_who_come_meanwhile_share_the_next_transaction(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)
    futures = recorder.together(pool, range(20))
    assert [future.result(10) for future in futures] == [2 * number for number in range(20)]
    assert recorder.groups == [(0,), tuple(range(1, 20))]
    assert recorder.stored() == list(range(20))
    assert recorder.line.submit(ledger.store, 99) == 198, "the line is free again"


def test_a_poisoned_request_fails_alone(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)

    def fault(numbers: Sequence[int]) -> None:
        if POISON in numbers:
            raise ValueError("poison")

    recorder.fault = fault
    futures = recorder.together(pool, range(20))
    for number, future in enumerate(futures):
        if number == POISON:
            with pytest.raises(ValueError, match="poison"):
                future.result(10)
        else:
            assert future.result(10) == 2 * number
    assert recorder.stored() == [number for number in range(20) if number != POISON]
    assert recorder.line.submit(ledger.store, 99) == 198


def test_a_leader_that_fails_strands_nobody(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)

    def fault(numbers: Sequence[int]) -> None:
        if numbers[0] == 1:
            raise SystemExit("the leader's thread is told to end")

    recorder.fault = fault
    futures = recorder.together(pool, range(6))
    with pytest.raises(SystemExit):
        futures[1].result(10)
    assert [future.result(10) for future in (futures[0], *futures[2:])] == [0, 4, 6, 8, 10]
    assert recorder.stored() == [0, 2, 3, 4, 5]


def test_a_key_stored_twice_is_tried_again_and_costs_only_its_own_request(
    ledger: Ledger, pool: ThreadPoolExecutor
) -> None:
    recorder = Recorder(ledger.store)
    futures = recorder.together(pool, [0, 1, 2, 2, 3])
    outcomes = [future.exception(10) for future in futures]
    assert [type(error) for error in outcomes].count(IntegrityError) == 1
    assert recorder.stored() == [0, 1, 2, 3]


def test_a_group_is_bounded_and_the_rest_is_led_by_its_first(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store, group_weight=10)
    futures = recorder.together(pool, range(8), weight=4)
    assert [future.result(10) for future in futures] == [2 * number for number in range(8)]
    assert recorder.groups == [(0,), (1, 2), (3, 4), (5, 6), (7,)]


def test_too_many_waiting_are_refused_before_memory_grows(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store, waiting_weight=3)
    futures = recorder.together(pool, range(6))
    outcomes = [future.exception(10) for future in futures]
    assert [type(error) for error in outcomes] == [type(None)] * 4 + [Unavailable] * 2
    assert recorder.stored() == [0, 1, 2, 3]
    assert recorder.line.submit(ledger.store, 99, weight=50) == 198, "one of any weight is taken when none waits"


def test_a_store_that_is_away_refuses_the_whole_group_once(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)

    def fault(numbers: Sequence[int]) -> None:
        if numbers[0] == 1:
            raise Unavailable("away", retry_after=7)

    recorder.fault = fault
    futures = recorder.together(pool, range(5))
    errors = [future.exception(10) for future in futures[1:]]
    assert all(isinstance(error, Unavailable) and error.retry_after == 7 for error in errors)
    assert len(set(map(id, errors))) == 4, "one exception each: they are raised in four threads"
    assert recorder.groups == [(0,), (1, 2, 3, 4)]
    assert recorder.stored() == [0]


def send_twice(ledger: Ledger, pool: ThreadPoolExecutor, keys: Sequence[KeyRow]) -> list[Accepted]:
    """400 calls of one to four runs; every run comes from two threads, with repositories and people new to several."""

    def call(number: int) -> list[Accepted]:
        key, pair = keys[number // 2 % len(keys)], number // 2
        items = [
            a_run(
                request_id=f"{pair}-{item}",
                usage=tokens(1_000 + pair, item),
                repository=f"acme/r{pair % 7}",
                actor=f"person{pair % 11}",
                latency_ms=pair,
            )
            for item in range(pair % 4 + 1)
        ]
        done = [result for result in ingest(ledger.store, key, items, now=NOW).results if isinstance(result, Accepted)]
        for item, result in zip(items, done, strict=True):
            assert result.run["request_id"] == item.request_id
            assert result.run["input_uncached"] == item.usage.input_uncached
            assert result.run["organization_id"] == key.organization.id
        return done

    return [answer for found in pool.map(call, range(400)) for answer in found]


def test_many_threads_store_every_run_once_and_the_sums_are_right(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    answers = send_twice(ledger, pool, (ledger.key, ledger.own))
    rows = ledger.rows(t.runs)
    assert len(rows) == sum(answer.new for answer in answers) == 500
    assert {row["id"] for row in rows} == {answer.run["id"] for answer in answers}
    assert {row["api_key_id"] for row in rows} == {ledger.key.id, ledger.own.id}


def test_organizations_that_share_a_transaction_do_not_mix(engine: str, pool: ThreadPoolExecutor) -> None:
    with open_ledger(engine=engine) as ledger:
        other = create_organization(ledger.store, "Initech", "charlie@example.com", plan="enterprise", now=NOW)
        key = authenticate(ledger.store, other.api_key, "ingest", now=NOW)
        answers = send_twice(ledger, pool, (ledger.key, key))
        rows = ledger.rows(t.runs)
        assert len(rows) == sum(answer.new for answer in answers) == 500
        assert {(row["organization_id"], row["api_key_id"]) for row in rows} == {
            (ledger.organization.id, ledger.key.id),
            (other.organization.id, key.id),
        }
        assert {row["organization_id"] for row in ledger.rows(t.people)} == {
            ledger.organization.id,
            other.organization.id,
        }
        assert not check(ledger.store, ledger.organization.id).findings
        assert not check(ledger.store, other.organization.id).findings


def test_a_run_that_the_database_refuses_costs_its_neighbours_nothing(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    refuse(ledger.store, "runs", when="NEW.model = 'refused'")

    def call(number: int) -> Any:
        model = "refused" if number % 10 == 3 else "gpt-4o"
        return ingest(ledger.store, ledger.key, [a_run(request_id=f"r{number}", model=model)], now=NOW)

    errors = [pool.submit(call, number) for number in range(60)]
    failed = [number for number, future in enumerate(errors) if future.exception(30) is not None]
    assert failed == list(range(3, 60, 10))
    assert len(ledger.rows(t.runs)) == 54


def test_who_gives_way_waits_while_a_group_is_recorded(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)
    recorder.line.give_way()  # nobody is there
    with recorder.held:
        first = pool.submit(recorder.line.submit, ledger.store, 1)
        until(lambda: bool(recorder.groups))
        waiting = pool.submit(recorder.line.give_way, 30)
        time.sleep(0.05)
        assert not waiting.done()
        recorder.line.give_way(0.01)  # not for ever
    assert first.result(10) == 2
    waiting.result(10)


def test_one_after_the_other_enters_and_none_while_one_records(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    recorder = Recorder(ledger.store)
    inside = 0
    most = 0

    def enter() -> None:
        nonlocal inside, most
        with recorder.line.entering():
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    with recorder.held:
        first = pool.submit(recorder.line.submit, ledger.store, 1)
        until(lambda: bool(recorder.groups))
        entered = [pool.submit(enter) for _ in range(10)]
        time.sleep(0.05)
        assert most == 0
    for future in (first, *entered):
        future.result(30)
    assert most == 1


def test_one_that_stays_in_the_entrance_holds_nobody_up_for_long(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    line = Recorder(ledger.store).line
    left = threading.Event()

    def stay() -> None:
        with line.entering():
            assert left.wait(10)

    def enter() -> float:
        begun = time.monotonic()
        with line.entering():
            return time.monotonic() - begun

    staying = pool.submit(stay)
    waits = [pool.submit(enter) for _ in range(3)]
    assert max(wait.result(10) for wait in waits) < 5, "each waits for a second, not for each other"
    left.set()
    staying.result(10)


def test_who_fails_on_entering_keeps_nobody_out(ledger: Ledger, pool: ThreadPoolExecutor) -> None:
    line = Recorder(ledger.store).line
    with pytest.raises(ValueError, match="bad body"), line.entering():
        raise ValueError("bad body")

    def enter() -> bool:
        with line.entering():
            return True

    assert pool.submit(enter).result(10)


def test_a_failed_group_keeps_nobody_waiting(ledger: Ledger) -> None:
    recorder = Recorder(ledger.store)

    def fault(_: Sequence[int]) -> None:
        raise ValueError("poison")

    recorder.fault = fault
    with pytest.raises(ValueError, match="poison"):
        recorder.line.submit(ledger.store, 1)
    started = time.monotonic()
    recorder.line.give_way(30)
    assert time.monotonic() - started < 10, "it waited for a group that is gone"
