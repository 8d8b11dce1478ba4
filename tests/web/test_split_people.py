"""People who come under several addresses each, made one over HTTP: they have the links of people never apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from flask import Flask
from sqlalchemy import select

from benchmarks.split_people import confirm_suggestions, split_facts, split_runs
from costlens.github.snapshot import read_snapshot
from costlens.services.keys import create_key
from costlens.services.linking import link_repository
from costlens.services.organizations import create_organization
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.engine import Store

NOW = datetime.now(UTC).replace(microsecond=0)
PEOPLE = ("alice", "bob", "charlie")
ADDRESSES = 3


def write(path: Path, rows: Iterable[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def a_commit(name: str, login: str, at: datetime, branch: str, *files: str) -> dict[str, object]:
    sha = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return {
        "sha": sha,
        "author": login,
        "authoredAt": at.isoformat(),
        "subject": name,
        "files": files,
        "branches": [branch],
    }


def a_pull(number: int, login: str, at: datetime, branch: str) -> dict[str, object]:
    return {
        "repo": "acme/web",
        "number": number,
        "author": login,
        "headRef": branch,
        "baseRef": "main",
        "state": "merged",
        "createdAt": at.isoformat(),
        "mergedAt": (at + timedelta(hours=5)).isoformat(),
        "commits": [
            a_commit(f"One of {number}", login, at + timedelta(minutes=60), branch, "a.py"),
            a_commit(f"Two of {number}", login, at + timedelta(minutes=180), branch, "b.py"),
        ],
    }


def a_run(name: str, login: str, at: datetime, branch: str, file: str, session: str) -> dict[str, object]:
    return {
        "provider": "openai",
        "model": "gpt-4o",
        "inputTokens": 1000,
        "outputTokens": 100,
        "requestId": name,
        "timestamp": at.isoformat(),
        "metadata": {"repo": "acme/web", "branch": branch, "actor": login, "files": [file], "sessionId": session},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pull requests of three people who share names of branches, commits on main, and runs for all of them."""
    pulls, commits, runs = [], [], []
    for number in range(1, 13):
        login, branch, at = PEOPLE[number % 3], f"fix/{number // 2}", NOW - timedelta(days=20 - number)
        pulls.append(a_pull(number, login, at, branch))
        straight = a_commit(f"Straight {number}", login, at + timedelta(minutes=400), "main", "main.py")
        commits.append(straight | {"repo": "acme/web"})
        places = ((40, branch, "a.py"), (60, branch, "b.py"), (350, "main", "main.py"), (100, "main", "b.py"))
        for step, (minutes, where, file) in enumerate(places):
            when = at + timedelta(minutes=minutes)
            runs.append(a_run(f"{number}-{step}", login, when, where, file, f"s{number}-{step % 2}"))
    write(tmp_path / "people.jsonl", ({"login": login} for login in PEOPLE))
    write(tmp_path / "pulls.jsonl", pulls)
    write(tmp_path / "commits.jsonl", commits)
    write(tmp_path / "runs.jsonl", runs)
    return tmp_path


class Workspace:
    """An organization of its own with a key for everything, on the application itself."""

    def __init__(self, app: Flask, store: Store, name: str) -> None:
        self.store = store
        self.organization = create_organization(store, name, "alice@example.com", plan="self-hosted").organization
        key = create_key(store, name, "all", scopes="ingest read admin")
        headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://localhost", headers=headers)

    def load(self, runs: list[str], files: Iterable[Path]) -> None:
        body = '{"runs":[' + ",".join(runs) + "]}"
        answer = self.client.post("/integrations/batch", content=body, headers={"Content-Type": "application/json"})
        assert answer.json()["errors"] == 0
        for file in files:
            records = list(read_snapshot(file.read_bytes().splitlines()))
            import_records(self.store, self.organization.id, records, now=NOW)

    def links(self) -> dict[str, tuple[int | None, str]]:
        """Links what is due; (pull request, rule) of each link by the run's request id."""
        with self.store.read() as tx:
            mine = t.repositories.c.organization_id == self.organization.id
            found = tx.scalars(select(t.repositories.c.id).where(mine)).all()
        for repository_id in found:
            link_repository(self.store, self.organization.id, repository_id, now=NOW)
        rows = self.client.get("/links?limit=1000").json()["links"]
        return {row["requestId"]: (row["pullRequest"], row["rule"]) for row in rows if row["state"] == "counted"}


@pytest.fixture
def workspaces(app: Flask, store: Store) -> Iterator[tuple[Workspace, Workspace]]:
    whole, split = Workspace(app, store, "Whole"), Workspace(app, store, "Split")
    yield whole, split
    whole.client.close()
    split.client.close()


def test_no_link_is_lost_by_split_people_once_they_are_merged(
    folder: Path, workspaces: tuple[Workspace, Workspace]
) -> None:
    whole, split = workspaces
    lines = (folder / "runs.jsonl").read_text().splitlines()
    whole.load(lines, [folder / f"{name}.jsonl" for name in ("people", "commits", "pulls")])
    expected = whole.links()
    assert len(expected) >= 36
    assert {rule for _, rule in expected.values()} >= {"B1", "T1"}

    split.load(split_runs(lines, ADDRESSES), split_facts(folder, folder / "pulls.jsonl", folder, ADDRESSES))
    first = split.links()
    assert len(first) < len(expected)
    assert first != expected
    assert confirm_suggestions(split.client) == len(PEOPLE) * ADDRESSES
    assert split.links() == expected
    # Another sync of the same facts changes nothing of it.
    split.load([], split_facts(folder, folder / "pulls.jsonl", folder, ADDRESSES))
    assert split.links() == expected
    people = split.client.get("/people").json()["people"]
    assert sorted(len(one["identities"]) for one in people if one["commits"]) == [ADDRESSES + 1] * len(PEOPLE)
