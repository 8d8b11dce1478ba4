"""How long the webhook route takes, with real payloads in a storm, and from a webhook to a row on the screen.

    python -m benchmarks.github_webhooks [--pulls 300] [--storm 1000]

GitHub is npm `emulate` behind a counting proxy. The route is measured over HTTP with the 329 real payloads of
@octokit/webhooks-examples, one connection, while the worker works them off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
from sqlalchemy import func, select

from costlens.config import load_settings
from costlens.domain.access import Member
from costlens.services import github_connect
from costlens.services.github_access import github_of
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import find_member, find_organization
from tests.e2e.github_crash import WHOLE
from tests.e2e.servers import PROC, Server, a_run, serving, wait_until
from tests.github.emulator import REPOSITORY, Emulator, emulating
from tests.github.signing import signed
from tests.peers import webhook_examples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pulls", type=int, default=300)
    parser.add_argument("--storm", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, emulating(Path(folder)) as emulator:
        for _ in range(given.pulls):
            emulator.open_pull()
        ours = {"GITHUB_URL": emulator.url, "GITHUB_API_URL": emulator.url, "COSTLENS_GITHUB_SOURCE": "rest"}
        with serving(Path(folder) / "data", **ours, **WHOLE) as server, server.store() as store:
            key = server.organization()
            address, secret = connect(server, store)
            backfill(store, emulator)
            hook = {"config": {"url": address, "secret": secret, "content_type": "json"}, "events": ["*"]}
            emulator.api("POST", f"/repos/{REPOSITORY}/hooks", hook | {"active": True})
            rows(server, key, emulator)
            storm(server, address, secret, given.storm)


def connect(server: Server, store: Store) -> tuple[str, str]:
    """Connects by an App and chooses the repository; answers the webhook's address and secret."""
    github = github_of(load_settings(server.environment))
    with store.read() as tx:
        organization = find_organization(tx, "acme")
        assert organization is not None
        owner = find_member(tx, organization.id, "alice@example.com")
        assert owner is not None
    alice = Member(organization.id, owner.id, owner.user_id, "alice@example.com", owner.role)
    github_connect.connect_app(store, github, alice, "a-code", github_connect.new_hook_id())
    github_connect.refresh(store, github, organization.id)
    with store.read() as tx:
        chosen = [row.id for row in sync_store.list_sources(tx, organization.id)]
        row = connections.get_connection(tx, organization.id)
    github_connect.choose_repositories(store, alice, chosen)
    return f"{server.url}/webhooks/github/{row.hook_id}", github.box.open(row.webhook_secret)


def backfill(store: Store, emulator: Emulator) -> None:
    """Waits for the first walk."""
    started, calls = time.monotonic(), len(emulator.calls)
    wait_until(lambda: _walked(store), 300, lambda: _rows(store))
    with store.read() as tx:
        pulls = tx.scalar(select(func.count()).select_from(t.pull_requests))
    seconds = time.monotonic() - started
    print(f"first walk: {pulls} pull requests in {seconds:.1f} s, {len(emulator.calls) - calls} calls", flush=True)


def _walked(store: Store) -> bool:
    with store.read() as tx:
        return tx.scalar(select(t.github_repositories.c.watermark)) is not None


def _rows(store: Store) -> str:
    with store.read() as tx:
        return str([dict(row) for row in tx.execute(select(t.github_repositories)).mappings()])


def rows(server: Server, key: str, emulator: Emulator) -> None:
    """Opens pull requests and waits until the API shows each linked to a run."""
    waits = []
    with server.client(key) as client:
        for _ in range(5):
            number = emulator.opened + 1
            metadata = {"repo": REPOSITORY, "prNumber": number}
            assert client.post("/integrations/run", json=a_run(number, metadata=metadata)).status_code == 200
            time.sleep(2)  # its own linking pass is over: what is measured is the webhook's way
            emulator.open_pull()
            started = time.monotonic()
            wait_until(lambda at=number: _linked(client, at), 60)
            waits.append(time.monotonic() - started)
    print(f"webhook to a linked row: median {statistics.median(waits):.1f} s, worst {max(waits):.1f} s", flush=True)


def _linked(client: httpx.Client, number: int) -> bool:
    links = client.get("/links", params={"limit": "100"}).json()["links"]
    return any(link["pullRequest"] == number for link in links)


def storm(server: Server, address: str, secret: str, count: int) -> None:
    """Sends real payloads and prints how long each took, and what it cost the web process."""
    examples = [
        (event["name"], example)
        for event in json.loads(webhook_examples().read_text())
        for example in event["examples"]
    ]
    taken = []
    before = cpu_of_web(server)
    with httpx.Client(timeout=20, trust_env=False) as client:
        for n in range(count):
            event, example = examples[n % len(examples)]
            body, headers = signed(secret, event, example, guid=f"storm-{datetime.now(UTC).timestamp()}-{n}")
            started = time.perf_counter()
            answer = client.post(address, content=body, headers=headers)
            taken.append(1_000 * (time.perf_counter() - started))
            assert answer.status_code == 202, answer.text
    taken.sort()
    print(
        f"{count} webhooks: median {statistics.median(taken):.1f} ms, p99 {taken[int(count * 0.99)]:.1f} ms, "
        f"worst {taken[-1]:.1f} ms over HTTP, {1_000 * (cpu_of_web(server) - before) / count:.1f} ms CPU each"
    )


def cpu_of_web(server: Server) -> float:
    """Seconds of CPU that the web processes have used."""
    web = [pid for pid, line in server.pids().items() if "costlens.cli web" in line]
    fields = [(PROC / str(pid) / "stat").read_text().rpartition(")")[2].split() for pid in web]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
