"""Migrations: they make exactly the tables that the code speaks of and keep every row, on both engines."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from costlens.domain.roi import Window
from costlens.services.analytics import overview
from costlens.services.reports import roi_report
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.migrate import at_head, newest, upgrade
from costlens.store.organizations import find_organization, list_organizations
from costlens.store.tables import metadata
from costlens.store.upsert import insert_one
from tests import acme
from tests.databases import database_url, only_postgresql, only_sqlite
from tests.e2e.servers import ROOT, wait_until

MIGRATIONS = ROOT / "migrations"
REVISIONS = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()][::-1]
# What a database at revision 0001 held after a day's work of two organizations: one JSON object a row, without nulls.
ROWS = Path(__file__).with_name("rows_0001.jsonl")
# Their runs cost: 4.0 + 5 x 3.5 and one of no price, and 4.5 million nano-dollars.
COSTS = {"acme": 21_500_000, "initech": 4_500_000}


@pytest.fixture
def url(engine: str) -> Iterator[str]:
    with database_url(engine, migrated=False) as address:
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


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that there is as the database tells it, whatever the code knows of."""
    with store.read() as tx:
        return {
            table: sorted((dict(row) for row in tx.exec_driver_sql(f"SELECT * FROM {table}").mappings()), key=repr)
            for table in inspect(tx).get_table_names()
            if table != "alembic_version"
        }


def insert_rows(store: Store) -> None:
    """Stores `ROWS` by plain SQL, as the code of today does not write the tables of yesterday."""
    with store.write() as tx:
        for line in ROWS.read_text().splitlines():
            row = json.loads(line)
            table = row.pop("table")
            values = {
                name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for name, value in row.items()
            }
            places = ", ".join(f":{name}" for name in values)
            tx.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"), values)


def assert_kept(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]]) -> None:
    """Every row is there with the values that it had; sums may be kept in another way, `check` looks at them."""

    def narrow(rows: list[dict[str, Any]], names: set[str]) -> list[str]:
        return sorted(repr([row[name] for name in sorted(names)]) for row in rows)

    for table, rows in before.items():
        if rows and not table.startswith("rollup_"):
            names = rows[0].keys() & after[table][0].keys()
            assert narrow(rows, names) == narrow(after[table], names), table


def test_an_empty_database_gets_its_tables(store: Store) -> None:
    assert not at_head(store)
    upgrade(store)
    assert at_head(store)
    assert {*inspect(store.engine).get_table_names()} == {*metadata.tables, "alembic_version"}


def test_a_second_upgrade_changes_nothing(store: Store) -> None:
    upgrade(store)
    with store.write() as tx:
        acme.insert_acme(tx)
    before = schema(store), contents(store)
    upgrade(store)
    assert (schema(store), contents(store)) == before
    assert len(before[1]["rollup_links"]) == len(acme.LEDGER) + len(acme.STRANGERS)
    assert at_head(store)


@pytest.mark.parametrize("first", REVISIONS)
def test_rows_of_every_revision_reach_the_newest_and_its_sums_are_right(store: Store, first: str) -> None:
    upgrade(store, first)
    insert_rows(store)
    stored = contents(store)
    before = stored
    for revision in REVISIONS[REVISIONS.index(first) + 1 :]:
        upgrade(store, revision)
        after = contents(store)
        assert_kept(before, after)
        before = after
    assert at_head(store)
    assert_kept(stored, before)

    with store.read() as tx:
        assert {organization.slug for organization in list_organizations(tx)} == COSTS.keys()
    for slug, cost in COSTS.items():
        with store.read() as tx:
            organization = find_organization(tx, slug)
        assert organization is not None
        found = check(store, organization.id, repair=True)
        # The rows are of the first revision: from 0003 on they lack the sums by dimension, from 0009 on the narrow ones
        # too, from 0016 on those of pull requests and of latencies, from 0017 on those by filter; a repair makes them.
        lacking = {"rollup_dimension"} if first >= "0003" else set()
        if first >= "0009":
            lacking |= {"rollup_spend"}
        if first >= "0016" and slug == "acme":  # only Acme has links and latencies
            lacking |= {"rollup_latency_day", "rollup_pulls"}
        if first >= "0017":
            lacking |= {"rollup_runs"}
        assert set(found.by_rollup) == lacking
        assert check(store, organization.id).findings == ()
        window = Window(date(2026, 11, 1), date(2026, 11, 30), organization.timezone)
        assert overview(store, organization, window).total.cost_nanos == cost
        assert roi_report(store, organization.id, "team", window=window).total.spend.total == cost


def test_what_stored_facts_name_can_be_looked_up(store: Store) -> None:
    """0005 looks branches and reverts up by what earlier revisions stored only in the commits and pull requests."""
    upgrade(store, "0004")
    insert_rows(store)
    with store.write() as tx:
        tx.execute(text("""UPDATE commits SET branches = '["main", "spike"]' WHERE id = 1"""))
        tx.execute(text("UPDATE commits SET message = 'Undo\n\nThis reverts commit 0123456.' WHERE id = 2"))
        tx.execute(text("UPDATE pull_requests SET title = 'Reverts #7' WHERE id = 1"))
    upgrade(store)
    with store.read() as tx:
        repository = tx.scalars(select(t.pull_requests.c.repository_id).where(t.pull_requests.c.id == 1)).one()
        number = tx.scalars(select(t.pull_requests.c.number).where(t.pull_requests.c.id == 1)).one()
        mention = t.mentions.c
        found = tx.execute(
            select(mention.organization_id, mention.repository_id, mention.kind, mention.value, mention.source)
            .where(mention.kind.in_(("branch", "revert")))
            .order_by(mention.kind, mention.value, mention.source)
        ).all()
    assert [tuple(row) for row in found] == [
        (1, repository, "branch", "main", "1" * 40),
        (1, repository, "branch", "spike", "1" * 40),
        (1, repository, "revert", "", f"#{number}"),
        (1, repository, "revert", "", "2" * 40),
    ]


@only_postgresql  # on SQLite the second waits for the first's transaction, as every writer does
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


# A revision after the newest, and an upgrade to it by a process of its own.
NEXT = f"""
import time
from pathlib import Path
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", "{REVISIONS[-1]}"
branch_labels = depends_on = None
"""
UPGRADE = """
import sys
from pathlib import Path
from costlens.store import migrate
from costlens.store.engine import Store
migrate._PLACES = (Path(sys.argv[1]),)
migrate.upgrade(Store(sys.argv[2]))
"""
# It makes the table anew to which most others refer; the first time it stops half-way until it is killed.
LONG = """
def upgrade():
    op.add_column("runs", sa.Column("place", sa.Text()))
    op.execute("UPDATE runs SET place = branch")
    with op.batch_alter_table("organizations") as batch:
        batch.alter_column("plan", existing_type=sa.Text(), nullable=True)
    half_way = Path(__file__).with_name("half-way")
    if not half_way.exists():
        half_way.touch()
        time.sleep(60)
    op.execute("UPDATE organizations SET plan = NULL")
"""
# It removes what keys of others refer to.
WRONG = """
def upgrade():
    op.execute("DELETE FROM teams")
"""


def command_to(work: str, folder: Path, url: str) -> tuple[str, ...]:
    """The command that upgrades to a further revision, which does this work; its file is in `folder`/versions."""
    shutil.copytree(MIGRATIONS, folder)
    (folder / "versions" / "9999_next.py").write_text(NEXT + work)
    return (sys.executable, "-c", UPGRADE, str(folder), url)


def test_a_migration_that_is_killed_half_way_runs_again(store: Store, url: str, tmp_path: Path) -> None:
    upgrade(store)
    insert_rows(store)
    before = schema(store), contents(store)
    command = command_to(LONG, tmp_path / "migrations", url)

    process = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until((tmp_path / "migrations" / "versions" / "half-way").exists, 20)
    finally:
        process.kill()
        process.wait()
    assert at_head(store)  # of the code without that revision
    assert (schema(store), contents(store)) == before

    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    after = contents(store)
    assert [row["place"] for row in after["runs"]] == [row["branch"] for row in after["runs"]]
    assert {row.pop("plan") for row in after["organizations"]} == {None}
    assert_kept(before[1], after)


def test_a_migration_that_would_leave_rows_without_what_they_refer_to_is_undone(
    store: Store, url: str, tmp_path: Path
) -> None:
    upgrade(store)
    insert_rows(store)
    before = schema(store), contents(store)
    command = command_to(WRONG, tmp_path / "migrations", url)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "api_keys" in done.stderr
    assert (schema(store), contents(store)) == before


@only_sqlite  # PostgreSQL enforces keys and keeps a journal without being asked
def test_sqlite_enforces_keys_of_other_tables_and_writes_ahead(store: Store) -> None:
    upgrade(store)
    with store.read() as tx:
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_each_revision_has_the_number_of_its_file() -> None:
    scripts = ScriptDirectory(str(Path(__file__).parents[2] / "migrations"))
    assert newest() == scripts.get_current_head()
    for script in scripts.walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")
