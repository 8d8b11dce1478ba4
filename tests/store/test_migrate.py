"""Migrations: they make exactly the tables that the code speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from costlens.store.engine import Store
from costlens.store.migrate import at_head, upgrade
from costlens.store.tables import metadata


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'costlens.db'}")
    yield opened
    opened.close()


def test_an_empty_file_becomes_a_database(store: Store) -> None:
    assert not at_head(store)
    upgrade(store)
    assert at_head(store)
    assert {*inspect(store.engine).get_table_names()} == {*metadata.tables, "alembic_version"}


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    def schema() -> list[object]:
        with store.read() as tx:
            return list(tx.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name").all())

    upgrade(store)
    before = schema()
    upgrade(store)
    assert schema() == before
    assert at_head(store)


def test_migrations_and_tables_agree(store: Store) -> None:
    upgrade(store)
    with store.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_sees_a_missing_column(store: Store) -> None:
    upgrade(store)
    with store.write() as tx:
        tx.exec_driver_sql("ALTER TABLE runs DROP COLUMN branch")
    with store.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata)


def test_a_migration_that_fails_leaves_the_file_as_it_was(store: Store) -> None:
    with store.write() as tx:
        tx.exec_driver_sql("CREATE TABLE run_keys (id INTEGER)")  # in the way of a table of the first revision
    with pytest.raises(OperationalError, match="run_keys"):
        upgrade(store)
    assert inspect(store.engine).get_table_names() == ["run_keys"]


def test_keys_of_other_tables_are_enforced(store: Store) -> None:
    upgrade(store)
    with store.read() as tx:
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
