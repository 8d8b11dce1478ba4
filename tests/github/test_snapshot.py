"""The snapshot file: its lines as records, its errors by line, and what an import of it stores."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import func, select

from costlens.domain.errors import InvalidInput
from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, RepositoryRecord
from costlens.domain.names import Identity
from costlens.github.snapshot import read_snapshot
from costlens.services.sync import Imported, import_records
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization

Line = dict[str, Any]
SHA = "a" * 40
REPOSITORY: Line = {"type": "repository", "name": "acme/web", "id": 501, "defaultBranch": "main"}
PERSON: Line = {"type": "person", "login": "Alice", "id": 1, "emails": ["alice@example.com"], "name": "Alice"}
COMMIT: Line = {
    "type": "commit", "repo": "acme/web", "sha": SHA, "authoredAt": "2025-01-10T12:00:00Z",
    "committedAt": "2025-01-10T12:05:00Z", "author": "alice", "authorEmail": "alice@example.com", "authorId": 1,
    "message": "Sign in by link\n\nLonger.", "files": ["login.py"], "branches": ["main"],
}  # fmt: skip
PULL: Line = {
    "type": "pull", "repo": "acme/web", "number": 1, "title": "Sign in by link", "body": "Because.", "author": "alice",
    "authorId": 1, "headRef": "feat/login", "headSha": SHA, "baseRef": "main", "state": "merged",
    "createdAt": "2025-01-10T13:00:00Z", "mergedAt": "2025-01-11T09:00:00Z", "closedAt": "2025-01-11T09:00:00Z",
    "mergeCommitSha": "b" * 40, "additions": 10, "deletions": 2, "changedFiles": 1, "labels": ["auth"],
    "commits": [{"sha": SHA, "authoredAt": "2025-01-10T12:00:00Z", "author": "alice", "subject": "Sign in"}],
}  # fmt: skip


def read(*lines: Line, repository: str | None = None) -> list[Record]:
    return list(read_snapshot((json.dumps(line).encode() for line in lines), repository=repository))


def test_each_kind_of_line() -> None:
    repository, person, commit, pull = read(REPOSITORY, PERSON, COMMIT, PULL)
    assert repository == RepositoryRecord("acme/web", 501, "main")
    identities = (Identity("github_id", "1"), Identity("login", "alice"), Identity("email", "alice@example.com"))
    assert person == PersonRecord(identities, "Alice", bot=False)
    assert commit == CommitRecord(
        repository="acme/web",
        sha=SHA,
        authored_at=datetime(2025, 1, 10, 12, tzinfo=UTC),
        committed_at=datetime(2025, 1, 10, 12, 5, tzinfo=UTC),
        message="Sign in by link\n\nLonger.",
        author=identities,
        files=("login.py",),
        branches=("main",),
    )
    assert isinstance(pull, PullRecord)
    assert (pull.repository, pull.number, pull.title, pull.body) == ("acme/web", 1, "Sign in by link", "Because.")
    assert pull.merged_at == pull.closed_at == datetime(2025, 1, 11, 9, tzinfo=UTC)
    assert (pull.head_ref, pull.head_sha, pull.base_ref, pull.merge_commit_sha) == ("feat/login", SHA, "main", "b" * 40)
    assert (pull.additions, pull.deletions, pull.changed_files, pull.labels) == (10, 2, 1, ("auth",))
    assert [(one.repository, one.sha, one.message) for one in pull.commits] == [("acme/web", SHA, "Sign in")]


@pytest.mark.parametrize(
    ("line", "kind"),
    [(PERSON, PersonRecord), (COMMIT, CommitRecord), (PULL, PullRecord)],
    ids=["login", "sha", "number"],
)
def test_a_type_that_is_not_told_is_inferred(line: Line, kind: type[Record]) -> None:
    (record,) = read({name: value for name, value in line.items() if name != "type"})
    assert type(record) is kind
    assert [record] == read(line)


def test_the_least_that_each_kind_needs() -> None:
    repository, person, commit, pull = read(
        {"type": "repository", "name": "acme/web"},
        {"emails": ["bob@example.com"], "type": "person"},
        {"sha": "abc1234", "authoredAt": "2025-01-10T12:00:00Z", "repo": "acme/web"},
        {"number": 1, "createdAt": "2025-01-10T13:00:00Z", "repo": "acme/web"},
    )
    assert repository == RepositoryRecord("acme/web")
    assert person == PersonRecord((Identity("email", "bob@example.com"),))
    assert isinstance(commit, CommitRecord)
    assert commit.committed_at == commit.authored_at
    assert isinstance(pull, PullRecord)
    assert (pull.merged_at, pull.closed_at, pull.author, pull.body) == (None, None, (), None)


def test_fields_that_other_exports_have_are_ignored() -> None:
    reviews = {
        "reviews": [{"author": "bob", "state": "APPROVED"}],
        "url": "https://github.com/acme/web/pull/1",
        "x": None,
    }
    assert read(PULL | reviews) == read(PULL)
    assert read(COMMIT | {"parents": ["c" * 40], "verified": True}) == read(COMMIT)


def test_the_repository_of_lines_that_name_none() -> None:
    lines = [{name: value for name, value in line.items() if name != "repo"} for line in (COMMIT, PULL)]
    assert read(*lines, repository="acme/web") == read(COMMIT, PULL)
    assert read(COMMIT, repository="acme/other") == read(COMMIT)


def test_names_and_times_in_one_form() -> None:
    berlin = PULL | {"repo": "https://github.com/acme/web.git", "createdAt": "2025-01-10T14:00:00.123456+01:00"}
    (record,) = read(berlin)
    assert isinstance(record, PullRecord)
    assert record.repository == "acme/web"
    assert record.created_at == datetime(2025, 1, 10, 14, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=1)))
    assert record.created_at.utcoffset() == timedelta(0)


def test_blank_lines_are_skipped() -> None:
    lines = [b"", json.dumps(PERSON).encode(), b"  \n", b"\n"]
    assert len(list(read_snapshot(lines))) == 1


@pytest.mark.parametrize("login", ["renovate[bot]", "dependabot[bot]"])
def test_an_app_is_a_bot(login: str) -> None:
    (record,) = read({"login": login})
    assert isinstance(record, PersonRecord)
    assert record.bot


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "truncated"),
        (b"[]", "JSON object"),
        (b"5", "JSON object"),
        (b"{}", "unknown type"),
        (b'{"type": "issue"}', "issue"),
        (b'{"type": ["pull"]}', "type"),
        (b'{"type": {"a": 1}}', "type"),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b'{"sha": "abc1234", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
        (json.dumps({"type": "person"}).encode(), "login"),
        (json.dumps({"type": "repository", "name": "web"}).encode(), "repo"),
        (json.dumps(COMMIT | {"sha": "xyz"}).encode(), "sha"),
        (json.dumps(COMMIT | {"authoredAt": "2025-01-10T12:00:00"}).encode(), "authoredAt"),
        (json.dumps(COMMIT | {"authoredAt": "yesterday"}).encode(), "authoredAt"),
        (json.dumps({name: COMMIT[name] for name in COMMIT if name != "repo"}).encode(), "repo"),
        (json.dumps(PULL | {"number": 0}).encode(), "number"),
        (json.dumps(PULL | {"number": 1 << 31}).encode(), "number"),
        (json.dumps(PULL | {"state": "lost"}).encode(), "state"),
        (json.dumps(PULL | {"mergedAt": None}).encode(), "mergedAt"),
        (json.dumps(PULL | {"state": "closed", "mergedAt": None, "closedAt": None}).encode(), "closedAt"),
        (json.dumps(PULL | {"repo": "web"}).encode(), "repo"),
        (json.dumps(PULL | {"createdAt": "0001-01-01T00:00:00+14:00"}).encode(), "createdAt"),
        (json.dumps(PULL | {"commits": [{"sha": SHA}]}).encode(), "authoredAt"),
        (json.dumps(PULL | {"additions": -1}).encode(), "additions"),
        (json.dumps(PULL | {"authorId": 1 << 63}).encode(), "authorId"),
    ],
    ids=lambda value: value[:50].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_an_error_names_its_line(line: bytes, says: str) -> None:
    lines = [json.dumps(REPOSITORY).encode(), b"", line, json.dumps(PERSON).encode()]
    with pytest.raises(InvalidInput) as caught:
        list(read_snapshot(lines))
    assert caught.value.message.startswith("line 3: ")
    assert says in caught.value.message


# Imports.

TABLES = (
    t.repositories, t.repository_aliases, t.people, t.identities, t.commits, t.pull_requests, t.pull_request_commits,
    t.mentions,
)  # fmt: skip


def load(store: Store, acme: Organization, *lines: Line) -> Imported:
    return import_records(store, acme.id, read(*lines))


def contents(store: Store) -> dict[str, list[Any]]:
    with store.read() as tx:
        return {table.name: tx.execute(table.select().order_by(*table.primary_key)).all() for table in TABLES}


def outcomes(store: Store) -> dict[int, tuple[str, datetime | None]]:
    with store.read() as tx:
        rows = tx.execute(select(t.pull_requests).order_by(t.pull_requests.c.number))
        return {row.number: (row.outcome, row.reverted_at) for row in rows}


def test_an_import_stores_what_the_file_tells(store: Store, acme: Organization) -> None:
    done = load(store, acme, REPOSITORY, PERSON, COMMIT, PULL)
    assert (done.pulls, done.commits, done.people) == (1, 2, 1)
    with store.read() as tx:
        repository = tx.execute(t.repositories.select()).one()
        person = tx.execute(t.people.select()).one()
        commit = tx.execute(t.commits.select()).one()
        pull = tx.execute(t.pull_requests.select()).one()
    assert done.repositories == done.changed == {repository.id}
    assert (repository.name, repository.github_id, repository.default_branch) == ("acme/web", 501, "main")
    assert repository.facts_version == 1
    assert pull.person_id == commit.person_id == person.id
    assert (pull.outcome, pull.first_commit_at) == ("merged", datetime(2025, 1, 10, 12, tzinfo=UTC))
    assert commit.files == ["login.py"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1)])
def test_the_same_file_again_changes_nothing(store: Store, acme: Organization, order: Iterable[int]) -> None:
    lines = [REPOSITORY, PERSON, COMMIT, PULL]
    load(store, acme, *lines)
    before = contents(store)
    again = load(store, acme, *(lines[place] for place in order))
    assert again.changed == set()
    assert contents(store) == before


def test_the_order_of_lines_does_not_matter(store: Store, acme: Organization) -> None:
    load(store, acme, PULL, COMMIT, PERSON, REPOSITORY)
    with store.read() as tx:
        assert tx.scalar(select(func.count()).select_from(t.people)) == 1
        assert tx.scalar(select(t.repositories.c.github_id)) == 501


def test_many_pages(store: Store, acme: Organization) -> None:
    pulls = [
        {"repo": "acme/web", "number": n, "createdAt": "2025-01-10T13:00:00Z", "title": f"Change {n}"}
        for n in range(1, 451)
    ]
    told: list[int] = []
    done = import_records(store, acme.id, read(*pulls), progress=told.append)
    assert done.pulls == sum(told) == len(outcomes(store)) == 450
    assert len(told) > 1


def test_a_source_that_tells_less_takes_nothing_away(store: Store, acme: Organization) -> None:
    load(store, acme, REPOSITORY, PERSON, COMMIT, PULL)
    before = contents(store)
    less = {name: PULL[name] for name in ("repo", "number", "title", "createdAt", "mergedAt", "state", "labels")}
    assert load(store, acme, less).changed == set()
    assert contents(store) == before


def test_open_then_merged_then_reverted_then_back(store: Store, acme: Organization) -> None:
    untold = {"state": "open", "mergedAt": None, "closedAt": None, "mergeCommitSha": None}
    load(store, acme, PULL | untold)
    assert outcomes(store) == {1: ("open", None)}
    load(store, acme, PULL)
    assert outcomes(store) == {1: ("merged", None)}

    revert = PULL | {
        "number": 2, "title": 'Revert "Sign in by link"', "body": "Reverts acme/web#1",
        "headRef": "revert-1-feat/login",
        "createdAt": "2025-01-12T09:00:00Z", "mergedAt": "2025-01-12T10:00:00Z", "closedAt": None,
        "mergeCommitSha": "c" * 40, "commits": [],
    }  # fmt: skip
    load(store, acme, revert | untold)
    assert outcomes(store)[1] == ("merged", None)  # a revert that is not merged takes nothing back
    load(store, acme, revert)
    at = datetime(2025, 1, 12, 10, tzinfo=UTC)
    assert outcomes(store) == {1: ("reverted", at), 2: ("merged", None)}

    back = revert | {
        "number": 3, "title": 'Revert "Revert "Sign in by link""', "body": "Reverts acme/web#2",
        "headRef": "revert-2-revert-1-feat/login", "createdAt": "2025-01-13T09:00:00Z",
        "mergedAt": "2025-01-13T10:00:00Z", "mergeCommitSha": "d" * 40,
    }  # fmt: skip
    load(store, acme, back)
    found = outcomes(store)
    assert found[1] == ("merged", None)
    assert found[3] == ("merged", None)
    before = contents(store)
    assert load(store, acme, PULL, revert, back).changed == set()
    assert contents(store) == before


def test_a_revert_commit_outside_a_pull_request(store: Store, acme: Organization) -> None:
    message = f'Revert "Sign in by link"\n\nThis reverts commit {"b" * 40}.'
    load(store, acme, PULL, COMMIT | {"sha": "e" * 40, "message": message, "committedAt": "2025-01-14T10:00:00Z"})
    assert outcomes(store) == {1: ("reverted", datetime(2025, 1, 14, 10, tzinfo=UTC))}


def test_closed_unmerged_is_abandoned(store: Store, acme: Organization) -> None:
    closed = {"state": "closed", "mergedAt": None, "mergeCommitSha": None, "closedAt": "2025-01-12T09:00:00Z"}
    load(store, acme, PULL | closed)
    assert outcomes(store) == {1: ("abandoned", None)}
    load(store, acme, PULL | closed | {"state": "open", "closedAt": None})
    assert outcomes(store) == {1: ("open", None)}  # reopened


def test_the_pages_before_an_error_stay(store: Store, acme: Organization) -> None:
    good = [{"repo": "acme/web", "number": n, "createdAt": "2025-01-10T13:00:00Z"} for n in range(1, 301)]
    with pytest.raises(InvalidInput, match="line 301"):
        load_lazily(store, acme, [*good, {"number": 0}])
    assert 0 < len(outcomes(store)) < 300
    load(store, acme, *good)
    assert len(outcomes(store)) == 300


def load_lazily(store: Store, acme: Organization, lines: list[Line]) -> Imported:
    return import_records(store, acme.id, read_snapshot(json.dumps(line).encode() for line in lines))


def test_two_organizations_keep_their_own(store: Store, acme: Organization, charlie_key: str) -> None:
    load(store, acme, REPOSITORY, PERSON, COMMIT, PULL)
    before = contents(store)
    with store.read() as tx:
        other = tx.scalar(select(t.organizations.c.id).where(t.organizations.c.slug == "initech"))
        assert find_repositories(tx, other, ["acme/web"]) == {}
    import_records(store, other, read(REPOSITORY, PULL | {"title": "Theirs"}))
    with store.read() as tx:
        titles = tx.execute(select(t.pull_requests.c.organization_id, t.pull_requests.c.title)).all()
    assert sorted(titles) == sorted([(acme.id, "Sign in by link"), (other, "Theirs")])
    assert load(store, acme, REPOSITORY, PERSON, COMMIT, PULL).changed == set()
    assert contents(store)["commits"][0] == before["commits"][0]


def test_a_nul_which_postgresql_cannot_store_is_left_out() -> None:
    (pull,) = read(PULL | {"title": "Sign\u0000 in", "labels": ["a\u0000"], "body": "\\u0000 stays"})
    assert isinstance(pull, PullRecord)
    assert (pull.title, pull.labels, pull.body) == ("Sign in", ("a",), "\\u0000 stays")
