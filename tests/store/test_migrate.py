"""Migrations: they make exactly the tables that the code speaks of, on both engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.migrate import at_head, upgrade
from costlens.store.tables import metadata
from costlens.store.upsert import insert_one
from tests import acme
from tests.databases import ENGINES, database_url


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with database_url(request.param, migrated=False) as address:
        yield address


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()


def schema(store: Store) -> dict[str, list[str]]:
    """Columns, indexes and keys of each table, in words."""
    seen = inspect(store.engine)
    return {
        table: sorted(
            f"{what['name']} {what.get('type')} {what.get('nullable')}"
            for what in (*seen.get_columns(table), *seen.get_indexes(table), *seen.get_foreign_keys(table))
        )
        for table in seen.get_table_names()
    }


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.read() as tx:
        return {
            name: sorted(tuple(row) for row in tx.execute(select(*table.columns)))
            for name, table in ((table.name, table) for table in (t.organizations, t.rollup_links, t.rollup_day))
        }


def test_an_empty_database_gets_its_tables(store: Store) -> None:
    assert not at_head(store)
    upgrade(store)
    assert at_head(store)
    assert {*inspect(store.engine).get_table_names()} == {*metadata.tables, "alembic_version"}


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    upgrade(store)
    with store.write() as tx:
        acme.insert_acme(tx)
    before = schema(store), rows(store)
    upgrade(store)
    assert (schema(store), rows(store)) == before
    assert len(before[1]["rollup_links"]) == len(acme.LEDGER) + len(acme.STRANGERS)
    assert at_head(store)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_several_processes_may_upgrade_at_once(url: str) -> None:
    stores = [Store(url) for _ in range(4)]
    failed: list[BaseException] = []

    def work(store: Store) -> None:
        try:
            upgrade(store)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert at_head(stores[0])
    for store in stores:
        store.close()


def test_migrations_and_tables_agree(store: Store) -> None:
    upgrade(store)
    with store.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_database_fills_in_what_is_not_given(store: Store) -> None:
    upgrade(store)
    now = datetime(2026, 11, 16, 12, tzinfo=UTC)
    with store.write() as tx:
        values = {"name": "Acme", "slug": "acme", "plan": "free", "created_at": now}
        ids = [insert_one(tx, t.organizations, values | {"slug": slug}) for slug in ("acme", "b")]
        row = tx.execute(select(t.organizations).where(t.organizations.c.id == ids[0])).one()
    assert (ids, row.timezone, row.demo, row.hourly_cost_cents, row.created_at) == ([1, 2], "UTC", False, None, now)


def test_the_comparison_sees_a_missing_column(store: Store) -> None:
    upgrade(store)
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE runs DROP COLUMN tool")
    with store.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata)


def test_a_migration_that_fails_leaves_the_database_as_it_was(store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("CREATE TABLE run_keys (id INTEGER)")  # in the way of a table of the first revision
    with pytest.raises((OperationalError, ProgrammingError), match="run_keys"):
        upgrade(store)
    assert inspect(store.engine).get_table_names() == ["run_keys"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_keys_of_other_tables_are_enforced_by_sqlite(store: Store) -> None:
    upgrade(store)
    with store.read() as tx:
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
