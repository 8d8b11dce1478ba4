"""A comment on a pull request of the emulated GitHub, by the real worker: one, also when the worker is killed between
GitHub's answer and our note of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from costlens.config import load_settings
from costlens.domain.access import Member
from costlens.queue import JobQueue
from costlens.services import github_connect
from costlens.services.comment_settings import set_comments
from costlens.services.github_access import github_of
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import find_member, find_organization
from tests.e2e.github_crash import WHOLE
from tests.e2e.servers import Server, a_run, serving, wait_until
from tests.github.emulator import REPOSITORY, Emulator, emulating


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with emulating(tmp_path, pull_requests="write") as started:
        started.open_pull()
        yield started


@pytest.fixture
def server(emulator: Emulator, tmp_path: Path) -> Iterator[Server]:
    ours = {"GITHUB_URL": emulator.url, "GITHUB_API_URL": emulator.url, "COSTLENS_GITHUB_SOURCE": "rest"}
    with serving(tmp_path / "data", **ours, **WHOLE) as started:
        yield started


def connect(server: Server, store: Store, emulator: Emulator) -> int:
    """Acme by the App with its repository chosen and comments on; answers the organization's id."""
    github = github_of(load_settings(server.environment))
    with store.write() as tx:
        organization = find_organization(tx, "acme")
        assert organization is not None
        row = find_member(tx, organization.id, "alice@example.com")
        assert row is not None
        values = {
            "organization_id": organization.id, "kind": "app", "hook_id": "h", "app_id": 77,
            "app_slug": "costlens-acme", "private_key": github.box.seal(emulator.key),
            "webhook_secret": github.box.seal("hush"), "created_by": "alice@example.com",
            "created_at": datetime.now(UTC),
        }  # fmt: skip
        connections.create_connection(tx, values)
    alice = Member(organization.id, row.id, row.user_id, "alice@example.com", row.role)
    assert github_connect.refresh(store, github, organization.id) == 1
    with store.read() as tx:
        ids = [one.id for one in sync_store.list_sources(tx, organization.id)]
    github_connect.choose_repositories(store, alice, ids)
    set_comments(store, alice, on=True, chosen=ids)
    return organization.id


def row_of(store: Store) -> Any:
    with store.read() as tx:
        return tx.execute(select(t.pull_request_comments)).first()


def linked(store: Store) -> int:
    with store.read() as tx:
        runs = select(func.coalesce(func.sum(t.rollup_pulls.c.runs), 0)).where(t.rollup_pulls.c.cut == "pull")
        return int(tx.scalar(runs) or 0)


def test_one_comment_by_a_worker_that_is_killed(server: Server, emulator: Emulator) -> None:
    key = server.organization()
    killed: list[int] = []

    def kill(call: str) -> None:
        if call.startswith("POST") and call.endswith("/comments") and not killed:
            worker = server.pid("worker")
            killed.extend([*server.children(worker), worker])
            for pid in killed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    emulator.before_answer = kill
    settings = load_settings(server.environment)
    queue = JobQueue(settings.queue_url)
    with server.store() as store, server.client(key) as client:
        organization_id = connect(server, store, emulator)

        def send(first: int, count: int) -> None:
            for number in range(first, first + count):
                run = a_run(number, metadata={"repo": REPOSITORY, "prNumber": 1})
                assert client.post("/integrations/run", json=run).status_code == 200

        def comments() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = emulator.api("GET", f"/repos/{REPOSITORY}/issues/1/comments")
            return found

        def write_until(holds: Any) -> None:
            queue.run_soon("workers.comments.write", organization_id)
            wait_until(holds, 90, lambda: f"{row_of(store)} {server.log}")

        send(1, 3)
        wait_until(lambda: linked(store) == 3, 90, lambda: server.log)
        write_until(lambda: killed)
        assert len(comments()) == 1
        assert row_of(store).comment_id is None
        wait_until(lambda: server.all("worker") and server.pid("worker") not in killed, 30, lambda: server.log)
        past = datetime.now(UTC)  # as if the claim of the killed one were over
        with store.write() as tx:
            tx.execute(t.pull_request_comments.update().values(due_at=past))
        write_until(lambda: row_of(store).state == "written")
        (only,) = comments()
        assert row_of(store).comment_id == only["id"]
        assert only["user"]["login"] == "costlens-acme[bot]"
        assert "in 3 runs so far" in only["body"]
        assert row_of(store).runs == 3
        assert f"{server.url}/app/acme/pulls/{REPOSITORY}/1" in only["body"]

        send(4, 6)
        wait_until(lambda: linked(store) == 9, 90, lambda: server.log)
        emulator.api("PUT", f"/repos/{REPOSITORY}/pulls/1/merge", {})
        with store.write() as tx:
            tx.execute(t.github_repositories.update().values(due_at=past))
        wait_until(lambda: merged(store), 90, lambda: server.log)
        write_until(lambda: row_of(store).outcome == "merged")
        (only,) = comments()
        assert "in 9 runs, merged" in only["body"]
        assert sum(call.startswith("POST") and call.endswith("/comments") for call in emulator.calls) == 1


def merged(store: Store) -> bool:
    with store.read() as tx:
        return tx.scalar(select(t.pull_requests.c.outcome)) == "merged"
