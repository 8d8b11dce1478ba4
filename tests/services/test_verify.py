"""The check of sums against runs: it finds exactly what is wrong, and its repair may run while runs come in."""

from __future__ import annotations

import random
import re
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select, update

from costlens.domain.runs import RunInput
from costlens.services import verify
from costlens.services.health import rollups
from costlens.services.ingest import ingest
from costlens.services.linking import link_repository
from costlens.services.organizations import set_organization
from costlens.services.sync import import_records
from costlens.services.verify import check, check_nightly, rebuild
from costlens.store import rollup_check
from costlens.store import tables as t
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_buckets, check_sums, open_ledger, tokens

ROLLUPS = (
    t.rollup_15m,
    t.rollup_latency,
    t.rollup_latency_day,
    t.rollup_day,
    t.rollup_dimension,
    t.rollup_links,
    t.rollup_spend,
    t.rollup_runs,
    t.rollup_pulls,
)


def some_runs(rng: random.Random, count: int, *, days: int = 5) -> list[RunInput]:
    return [
        a_run(
            occurred_at=NOW - timedelta(minutes=rng.randrange(days * 24 * 60)),
            usage=tokens(rng.randrange(1, 5000), rng.randrange(500)),
            model=rng.choice(("gpt-4o", "gpt-4o-mini", "no-such-model-9")),
            repository=rng.choice((None, "acme/web")),
            branch=rng.choice((None, "feature/1")),
            pr_number=rng.choice((None, 1)),
            actor=rng.choice((None, "alice", "bob")),
            prompt_id=rng.choice((None, "review-v2", "write-v1")),
            environment=rng.choice((None, None, "production")),
            latency_ms=rng.choice((None, 5, 900)),
        )
        for _ in range(count)
    ]


def fill(ledger: Ledger, rng: random.Random, count: int = 120) -> None:
    """Runs of some days, most of them linked."""
    ledger.send(*some_runs(rng, count))
    commit = a_commit("a" * 40, NOW - timedelta(hours=2))
    merged = NOW - timedelta(minutes=5)
    records = [a_pull(1, commit, merged_at=merged, closed_at=merged)]
    import_records(ledger.store, ledger.organization.id, records, now=NOW)
    link(ledger)


def link(ledger: Ledger) -> None:
    for repository in (0, *(row["id"] for row in ledger.rows(t.repositories))):
        link_repository(ledger.store, ledger.organization.id, repository, now=NOW, full=True)


def measures_of(table: Any) -> list[str]:
    return [column.name for column in table.columns if not column.primary_key]


def corrupt(ledger: Ledger, rng: random.Random, rows: int) -> set[tuple[Any, ...]]:
    """Spoils rows of every rollup: other sums, rows that are gone, rows that no run explains; answers which."""
    spoiled: set[tuple[Any, ...]] = set()
    with ledger.store.write() as tx:
        for table in ROLLUPS:
            keys = [column.name for column in table.primary_key.columns]
            stored = [dict(row) for row in tx.execute(select(table)).mappings()]
            live = [row for row in stored if any(row[name] for name in measures_of(table) if name not in t.PULL_FACTS)]
            for row in rng.sample(live, min(rows, len(live))):
                here = [table.c[name] == row[name] for name in keys]
                kind = rng.choice(("other", "gone", "stray"))
                if kind == "other":
                    name = rng.choice(measures_of(table))
                    tx.execute(update(table).where(*here).values({name: (row[name] or 0) + rng.choice((-3, 10**6))}))
                elif kind == "gone":
                    tx.execute(table.delete().where(*here))
                else:
                    moved = next(name for name in ("bucket", "day", "pull_request_id") if name in keys)
                    away = rng.randrange(900, 2000)
                    row = {**row, moved: row[moved] + (away if table is t.rollup_pulls else -timedelta(days=away))}
                    tx.execute(table.insert().values(row))
                spoiled.add((table.name, *(row[name] for name in keys)))
    return spoiled


def found_rows(ledger: Ledger) -> set[tuple[Any, ...]]:
    """Table and key of every row that differs, day by day."""
    organization = ledger.organization
    found: set[tuple[Any, ...]] = set()
    with ledger.store.read() as tx:
        for day in rollup_check.all_days(tx, organization.id, organization.timezone):
            for drift in rollup_check.compare_day(tx, organization.id, organization.timezone, day).rollups:
                found |= {(drift.name, organization.id, *key) for key in drift.rows}
        for drift in rollup_check.compare_pulls(tx, organization.id, None).rollups:
            found |= {(drift.name, organization.id, *key) for key in drift.rows}
    return found


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Asia/Kathmandu"])
def test_it_finds_exactly_what_was_spoiled_and_repairs_it(engine: str, zone: str) -> None:
    for seed in range(4):
        rng = random.Random(seed)
        with open_ledger(zone, engine=engine) as ledger:
            fill(ledger, rng)
            assert found_rows(ledger) == set()
            assert check(ledger.store, ledger.organization.id, repair=True).findings == ()
            spoiled = corrupt(ledger, rng, rows=4)
            assert found_rows(ledger) == spoiled
            told = check(ledger.store, ledger.organization.id)
            assert (told.differing, told.repaired, told.left) == (len(spoiled), 0, len(spoiled))
            assert found_rows(ledger) == spoiled  # a check alone changes nothing
            repaired = check(ledger.store, ledger.organization.id, repair=True)
            assert (repaired.differing, repaired.repaired, repaired.left) == (len(spoiled), len(spoiled), 0)
            check_sums(ledger)
            check_buckets(ledger)
            assert check(ledger.store, ledger.organization.id).findings == ()
            for table in ROLLUPS[:-1]:  # rows that no run explains are gone, not merely zero
                years = {(row.get("day") or row["bucket"].date()).year for row in ledger.rows(table)}
                assert years == {2026}, table.name
            # A row without a day was moved to a pull request that there is not.
            links = [row for row in ledger.rows(t.links) if row["state"] == "counted" and row["valid_to"] is None]
            linked = {row["pull_request_id"] for row in links if row["pull_request_id"] is not None}
            assert {row["pull_request_id"] for row in ledger.rows(t.rollup_pulls)} == linked


def test_a_finding_tells_the_day_and_by_how_much(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        ledger.send(a_run(), a_run(occurred_at=NOW - timedelta(days=3)))
        with ledger.store.write() as tx:
            more = {"runs": t.rollup_day.c.runs + 2, "cost_nanos": t.rollup_day.c.cost_nanos - 5}
            tx.execute(update(t.rollup_day).where(t.rollup_day.c.day == NOW.date()).values(more))
        found = check(ledger.store, ledger.organization.id)
        assert found.findings == (verify.Finding(NOW.date(), "rollup_day", 1, 2, -5),)
        assert found.days == 2


def test_a_repair_counts_what_comes_in_between(engine: str) -> None:
    """What others add after the snapshot, to the same rows too, stays."""
    rng = random.Random(1)
    with open_ledger(engine=engine) as ledger:
        fill(ledger, rng)
        corrupt(ledger, rng, rows=5)
        organization = ledger.organization
        with ledger.store.read() as tx:
            days = rollup_check.all_days(tx, organization.id, "UTC")
            drifts = [rollup_check.compare_day(tx, organization.id, "UTC", day) for day in days]
            drifts.append(rollup_check.compare_pulls(tx, organization.id, None))
        ledger.send(*some_runs(rng, 60))
        link(ledger)
        with ledger.store.write() as tx:
            rollup_check.begin_checks(tx, organization.id)
            repairs = drifts[0].repairs
            for drift in drifts:
                for part in rollup_check.parts(drift, 3):
                    assert rollup_check.repair(tx, organization.id, part, repairs)
                    repairs += 1
        check_sums(ledger)
        check_buckets(ledger)


def test_of_two_repairs_of_the_same_differences_one_is_written(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        ledger.send(a_run())
        organization = ledger.organization.id
        with ledger.store.write() as tx:
            rollup_check.begin_checks(tx, organization)
            tx.execute(update(t.rollup_15m).values(runs=5))
        with ledger.store.read() as tx:
            drift = rollup_check.compare_day(tx, organization, "UTC", NOW.date())
        (part,) = rollup_check.parts(drift, 100)
        done = [ledger.store.transact(lambda tx: rollup_check.repair(tx, organization, part, drift.repairs))]
        done.append(ledger.store.transact(lambda tx: rollup_check.repair(tx, organization, part, drift.repairs)))
        assert done == [True, False]
        check_sums(ledger)


def test_repairs_and_ingest_at_the_same_time(engine: str) -> None:
    rng = random.Random(3)
    with open_ledger(engine=engine) as ledger:
        fill(ledger, rng)
        corrupt(ledger, rng, rows=8)
        batches = [some_runs(rng, 10) for _ in range(20)]
        failed: list[BaseException] = []

        def work(todo: Any) -> None:
            try:
                todo()
            except BaseException as error:
                failed.append(error)

        def send() -> None:
            for batch in batches:
                ingest(ledger.store, ledger.key, batch, now=NOW)

        def repair() -> None:
            check(ledger.store, ledger.organization.id, repair=True, now=NOW)

        threads = [threading.Thread(target=work, args=(todo,)) for todo in (send, repair, repair)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(ledger.rows(t.runs)) == 120 + 200
        check_sums(ledger)
        check_buckets(ledger)


def test_the_nightly_check_repairs_the_last_days_and_readyz_tells(engine: str) -> None:
    with open_ledger(engine=engine) as ledger:
        assert rollups(ledger.store) == {"checkedAt": None, "drift": 0}
        ledger.send(a_run(), a_run(occurred_at=NOW - timedelta(days=40)))
        with ledger.store.write() as tx:
            tx.execute(update(t.rollup_15m).values(runs=t.rollup_15m.c.runs + 1))
        (found,) = check_nightly(ledger.store, now=NOW, older=0).values()
        assert (found.differing, found.repaired, found.days) == (1, 1, 4)
        assert rollups(ledger.store) == {"checkedAt": "2026-11-16T12:00:00.000Z", "drift": 1}
        (found,) = check_nightly(ledger.store, now=NOW, older=100).values()  # more than there are: all of them
        assert (found.differing, found.days) == (1, 42)
        check_sums(ledger)
        (found,) = check_nightly(ledger.store, now=NOW).values()
        assert (found.differing, found.days) == (0, 4 + verify.OLDER_DAYS)
        assert rollups(ledger.store)["drift"] == 0


@pytest.mark.parametrize("killed", [False, True])
def test_another_time_zone_cuts_every_day_anew_while_runs_come_in(engine: str, killed: bool) -> None:
    """Killed: the nightly check completes it."""
    rng = random.Random(7)
    with open_ledger("UTC", engine=engine) as ledger:
        fill(ledger, rng)
        changed = set_organization(ledger.store, "Acme", {"timezone": "Asia/Kathmandu"})
        late = [some_runs(rng, 10) for _ in range(5)]

        def ingest_by_the_former_zone(*_: int) -> None:
            if late:
                ingest(ledger.store, ledger.key, late.pop(), now=NOW)  # by a key that was read before

        ingest_by_the_former_zone()
        with ledger.store.read() as tx:
            assert rollup_check.rebuild_due(tx, changed.id)
        if killed:
            check(ledger.store, changed.id, days=[NOW.date()], repair=True, progress=ingest_by_the_former_zone)
            check_nightly(ledger.store, now=NOW, settle=0)
        else:
            rebuild(ledger.store, changed.id, settle=0, now=NOW, progress=ingest_by_the_former_zone)
            assert late == []
        with ledger.store.read() as tx:
            assert not rollup_check.rebuild_due(tx, changed.id)
        assert rollups(ledger.store)["drift"] == 0
        now = Ledger(ledger.store, changed, ledger.key, ledger.own)
        check_sums(now)
        check_buckets(now)
        days = {row["occurred_at"].astimezone(ZoneInfo("Asia/Kathmandu")).date() for row in now.rows(t.runs)}
        for table in (t.rollup_day, t.rollup_dimension, t.rollup_links):
            assert {row["day"] for row in now.rows(table) if row["runs"] or row["cost_nanos"]} == days, table.name


def test_days_of_a_clock_change_are_whole(engine: str) -> None:
    """25 and 23 hours long, and one that begins at the jump over midnight."""
    for zone, day in (
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2025, 10, 26)),
        ("America/Havana", date(2026, 3, 8)),
        ("Pacific/Chatham", date(2026, 4, 5)),
    ):
        with open_ledger(zone, engine=engine) as ledger:
            first = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=30)
            ledger.send(*(a_run(occurred_at=first + timedelta(minutes=30 * n), latency_ms=n) for n in range(120)))
            assert check(ledger.store, ledger.organization.id).findings == ()
            with ledger.store.write() as tx:
                for table in ROLLUPS:
                    tx.execute(table.delete())
            check(ledger.store, ledger.organization.id, repair=True)
            check_sums(ledger)


def test_sqlite_reads_a_day_of_every_rollup_by_an_index() -> None:
    with open_ledger() as ledger, ledger.store.read() as tx:
        plans: list[str] = []

        @event.listens_for(tx, "before_cursor_execute")
        def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
            if statement.startswith("SELECT"):
                plans.extend(row[3] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

        rollup_check.compare_day(tx, ledger.organization.id, "UTC", NOW.date())
        for table in (t.runs, *ROLLUPS[:-1]):  # the last has no days
            (plan,) = [plan for plan in plans if f" {table.name} " in plan]
            cut = r"cut=\? AND " if table is t.rollup_spend else ""
            assert re.search(rf"\(organization_id=\? AND {cut}(day|bucket|occurred_at)>", plan), plan


def test_sqlite_reads_the_sums_of_pull_requests_by_their_key() -> None:
    with open_ledger() as ledger:
        fill(ledger, random.Random(1))
        plans: list[str] = []
        with ledger.store.read() as tx:

            @event.listens_for(tx, "before_cursor_execute")
            def explain(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
                rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.extend(row[3] for row in rows)

            rollup_check.compare_pulls(tx, ledger.organization.id, [NOW.date()])
        (plan,) = [plan for plan in plans if " rollup_pulls " in plan]
        assert "PRIMARY KEY (organization_id=? AND cut=? AND pull_request_id=?)" in plan
