"""Exports through the real server, on both engines: flat memory, others served, and no broken file that looks whole."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from costlens.store.engine import Store
from costlens.web.api.exports import AT_ONCE
from tests.databases import ENGINES
from tests.e2e.servers import Server, a_run, serving, wait_until
from tests.postgres import postgres_database

RUNS = 10_000
# So much that it does not fit into what the system keeps for a connection: the server has to wait for the reader.
TAGS = {f"tag-{n}": "x" * 180 for n in range(25)}
FORMS = ("csv", "ndjson")

each_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(scope="module", params=ENGINES)
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with many large runs, and a key of their owner."""
    with ExitStack() as stack:
        extra = {}
        if request.param == "postgresql":
            extra["DATABASE_URL"] = stack.enter_context(postgres_database(migrated=False))
        server = stack.enter_context(serving(tmp_path_factory.mktemp(request.param) / "data", **extra))
        key = server.organization()
        with server.client(key) as client:
            for start in range(0, RUNS, 500):
                bodies = [a_run(n, tags=TAGS) for n in range(start, start + 500)]
                assert client.post("/integrations/batch", json={"runs": bodies}, timeout=60).status_code == 200
        yield server, key


@pytest.fixture
def server(started: tuple[Server, str]) -> Server:
    return started[0]


@pytest.fixture
def client(started: tuple[Server, str]) -> Iterator[httpx.Client]:
    server, key = started
    with server.client(key) as client:
        yield client


@contextmanager
def reading(client: httpx.Client, form: str) -> Iterator[Iterator[bytes]]:
    """The parts of an export of all runs: the first has come, the others wait for their reader."""
    with client.stream("GET", "/runs", params={"format": form}) as answer:
        assert answer.status_code == 200
        parts = answer.iter_bytes()
        yield itertools.chain([next(parts)], parts)


def ids(text: str, form: str) -> list[str]:
    """The request ids of a whole file. Raises ValueError or csv.Error for a broken one."""
    if form == "csv":
        return [row["requestId"] for row in csv.DictReader(text.splitlines(keepends=True), strict=True)]
    return [json.loads(line)["requestId"] for line in text.splitlines()]


def memory(server: Server) -> int:
    """Resident memory of the web worker in KiB."""
    (worker,) = server.children(server.pid("web"))
    status = Path(f"/proc/{worker}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def renew_worker(server: Server) -> None:
    """Another web worker: what was freed in one that has exported before would hide what an export takes."""
    (worker,) = server.children(server.pid("web"))
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: worker not in server.children(server.pid("web")), 10, server.log)
    server.wait_ready()


@each_form
def test_all_come_once_in_flat_memory_while_others_are_served(server: Server, client: httpx.Client, form: str) -> None:
    renew_worker(server)
    client.get("/runs", params={"format": form, "limit": "1000"})  # what the first export loads is there for good
    before = most = memory(server)
    found = []
    with client.stream("GET", "/runs", params={"format": form}) as answer:
        for part in answer.iter_bytes(1 << 20):
            found.append(part)
            most = max(most, memory(server))
            assert client.get("/healthz").status_code == 200
    text = b"".join(found)
    assert sorted(ids(text.decode(), form)) == sorted(f"request-{n}" for n in range(RUNS))
    # KiB. SQLite keeps up to 32 MB of pages; all runs as objects are one and a half times the file and more.
    assert most - before < len(text) / 1024


@each_form
def test_a_caller_that_goes_away_leaves_its_place(server: Server, client: httpx.Client, form: str) -> None:
    with ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(reading(client, form))
        refused = client.get("/runs", params={"format": form})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert client.post("/integrations/run", json=a_run(1, tags=TAGS)).status_code == 200, "others are served"

    def free() -> bool:
        return client.get("/runs", params={"format": form, "limit": "1"}).status_code == 200

    wait_until(lambda: all(free() for _ in range(AT_ONCE)), 10, server.log)


@each_form
def test_a_failure_on_the_way_does_not_look_like_a_whole_file(server: Server, client: httpx.Client, form: str) -> None:
    store = Store(server.extra.get("DATABASE_URL") or f"sqlite:///{server.data / 'costlens.db'}")

    def rename(one: str, other: str) -> None:
        with store.write() as tx:
            tx.exec_driver_sql(f"ALTER TABLE {one} RENAME TO {other}")

    got: list[bytes] = []
    (worker,) = server.children(server.pid("web"))
    with reading(client, form) as parts:
        rename("links", "gone")
        try:
            with pytest.raises(httpx.RemoteProtocolError):  # granian breaks the answer off
                got.extend(parts)
        finally:
            rename("gone", "links")
            store.close()
    assert server.children(server.pid("web")) == [worker], "nothing has died of it"
    text = b"".join(got).decode()
    assert "This export is not complete" in text.splitlines()[-1]
    with pytest.raises(csv.Error if form == "csv" else ValueError):
        ids(text, form)
    assert "ended early" in server.log
    assert len(ids(client.get("/runs", params={"format": form}).text, form)) == RUNS


@each_form
def test_a_server_that_is_killed_does_not_end_the_file(server: Server, client: httpx.Client, form: str) -> None:
    (worker,) = server.children(server.pid("web"))
    with reading(client, form) as parts:
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(httpx.RemoteProtocolError):
            b"".join(parts)
    server.wait_ready()
