"""Revision 0016: what it makes of stored rows is what ingest, the linker and imports would have summed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy
from sqlalchemy import column, inspect, text

from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from tests.databases import database_url
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_sums, open_ledger


def fill(ledger: Ledger) -> None:
    """Runs of two weeks with every link state, and pull requests of every outcome."""
    ledger.send(
        *(
            a_run(
                occurred_at=NOW - timedelta(hours=9 * n),
                latency_ms=100 * n,
                repository=None if n % 11 == 0 else "acme/web",
                pr_number=n % 6 or None,
                actor="alice",
                environment="production" if n % 7 == 0 else None,
            )
            for n in range(60)
        )
    )
    begun = NOW - timedelta(days=10)
    commits = [a_commit(f"{n}" * 40, begun + timedelta(hours=n)) for n in range(1, 6)]
    merged, late = NOW - timedelta(days=3), NOW + timedelta(days=31)
    records = [
        a_pull(1, commits[0], merged_at=merged, closed_at=merged),
        a_pull(2, commits[1]),
        a_pull(3, commits[2], closed_at=merged),
        a_pull(4, commits[3], merged_at=merged, closed_at=merged, merge_commit_sha="4" * 40),
        a_pull(5, commits[4], merged_at=merged, closed_at=merged),
        a_commit("a" * 40, late, message=f"Revert\n\nThis reverts commit {'4' * 40}."),
    ]
    import_records(ledger.store, ledger.organization.id, records, now=NOW)
    for repository in (0, *(row["id"] for row in ledger.rows(t.repositories))):
        link_repository(ledger.store, ledger.organization.id, repository, now=NOW, full=True)


def copy_rows(new: Store, old: Store) -> None:
    """Gives an older database what it can hold of a newer one."""
    kept = {
        "rollup_spend": "cut <> 'source'",
        "rollup_pulls": "cut = 'whole'",
        "rollup_dimension": "dimension <> 'call' AND dimension NOT LIKE '%@%'",
    }
    with new.read() as source, old.write() as target:
        there = inspect(target)
        for table in t.metadata.sorted_tables:
            if not there.has_table(table.name):
                continue
            names = [one["name"] for one in there.get_columns(table.name)]
            columns = [table.c[name] for name in names]
            query = source.execute(table.select().with_only_columns(*columns).where(text(kept.get(table.name, "true"))))
            rows: list[dict[str, Any]] = [dict(row) for row in query.mappings()]
            if rows:
                older: Any = sqlalchemy.table(table.name, *(column(one.name, one.type) for one in columns))
                target.execute(older.insert(), rows)


def test_sums_by_outcome_are_made_of_what_is_stored(engine: str) -> None:
    with open_ledger("Asia/Kathmandu", engine=engine) as ledger, database_url(engine, migrated=False) as url:
        fill(ledger)
        check_sums(ledger)
        outcomes = sorted(row["outcome"] for row in ledger.rows(t.pull_requests))
        assert outcomes == ["abandoned", "merged", "merged", "open", "reverted"]
        old = Store(url)
        try:
            upgrade(old, "0015")
            copy_rows(ledger.store, old)
            with old.write() as tx:  # one is gone, and the linker has not looked at its runs yet
                tx.execute(text("DELETE FROM pull_requests WHERE number = 5"))
            upgrade(old)
            assert check(old, ledger.organization.id).findings == ()
            moved = Ledger(old, ledger.organization, ledger.key, ledger.own)
            check_sums(moved)
            whole = [row for row in moved.rows(t.rollup_spend) if row["cut"] == "whole"]
            for name in ("open", "abandoned", "reverted", "direct", "pending", "not_code"):
                assert any(row[f"{name}_nanos"] for row in whole), name
        finally:
            old.close()
