"""A GitHub of our own on loopback: REST and GraphQL over facts that a test makes, answers that it scripts, and a count
of calls. For what the emulator in `tests/github/emulator.py` does not do: dates, ETags, GraphQL, refusals.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from graphql import GraphQLSchema, build_schema, graphql_sync

from tests.peers import graphql_schema

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = {"alice": 11, "bob": 12, "charlie": 13}
BOT = {"login": "fixer[bot]", "id": 99, "type": "Bot"}


@dataclass(slots=True)
class Scripted:
    """Answers that come instead of the true ones, each once, for paths that match."""

    pattern: re.Pattern[str]
    answers: list[tuple[int, dict[str, str], Any]]


@dataclass(slots=True)
class Repo:
    github_id: int
    name: str
    pulls: list[dict[str, Any]] = field(default_factory=list)  # as REST tells one, with its `_commits`
    commits: list[dict[str, Any]] = field(default_factory=list)  # of the default branch, newest first
    default_branch: str = "main"
    archived: bool = False
    private: bool = True
    installation: int = 1


@dataclass(slots=True)
class Peer:
    """What the server holds; a test changes it at will."""

    url: str = ""
    repos: list[Repo] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)  # `VERB /path?query` in order, those scripted too
    free: int = 0  # of these, answered 304
    scripts: list[Scripted] = field(default_factory=list)
    delay: float = 0.0
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    redelivered: list[int] = field(default_factory=list)
    hook_secret: str = ""
    minted: int = 0
    app: dict[str, Any] = field(default_factory=dict)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)  # by id, with the `_place` of each
    commenter: dict[str, Any] = field(default_factory=lambda: account("alice"))  # who writes by this API
    may_comment: bool | None = None  # what installations tell of their permissions. None: nothing
    lock: threading.Lock = field(default_factory=threading.Lock)

    def script(self, pattern: str, *answers: tuple[int, dict[str, str], Any]) -> None:
        """From now on the next calls whose `VERB /path?query` matches get these answers."""
        self.scripts.append(Scripted(re.compile(pattern), list(answers)))

    def count(self, pattern: str = "") -> int:
        """Calls that match."""
        return sum(bool(re.search(pattern, call)) for call in self.calls)

    def forget(self) -> None:
        """Counts from zero and drops what was scripted."""
        self.calls.clear()
        self.scripts.clear()
        self.free = 0

    def repo(self, github_id: int = 501) -> Repo:
        return next(repo for repo in self.repos if repo.github_id == github_id)


def sha_of(*parts: object) -> str:
    return hashlib.sha1(repr(parts).encode()).hexdigest()


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def account(login: str) -> dict[str, Any]:
    return {"login": login, "id": PEOPLE[login], "type": "User"}


def a_commit(message: str, at: datetime, login: str, *key: object) -> dict[str, Any]:
    """A commit as REST lists it."""
    who = {"name": login.title(), "email": f"{login}@example.com"}
    return {
        "sha": sha_of(message, at, *key),
        "commit": {
            "message": message,
            "author": who | {"date": stamp(at)},
            "committer": who | {"date": stamp(at + timedelta(minutes=1))},
        },
        "author": account(login),
    }


def a_pull(number: int, at: datetime, login: str, *, state: str = "merged", commits: int = 2) -> dict[str, Any]:
    """A pull request as REST tells one, changed last at `at`, with its commits."""
    opened = at - timedelta(hours=5)
    made = [
        a_commit(f"Change {number}.{n}", opened - timedelta(hours=commits - n), login, number) for n in range(commits)
    ]
    return {
        "number": number,
        "title": f"Change number {number}",
        "body": f"What and why of {number}",
        "user": BOT if number % 10 == 0 else account(login),
        "created_at": stamp(opened),
        "updated_at": stamp(at),
        "merged_at": stamp(at) if state == "merged" else None,
        "closed_at": None if state == "open" else stamp(at),
        "merge_commit_sha": sha_of("merge", number),
        "head": {"ref": f"change-{number}", "sha": made[-1]["sha"]},
        "base": {"ref": "main"},
        "additions": 10 + number,
        "deletions": number % 7,
        "changed_files": 1 + number % 3,
        "labels": [{"name": "ai"}] if number % 4 == 0 else [],
        "_commits": made,
        "_reviews": [] if number % 5 == 0 else [_review(number, n, opened) for n in range(1 + number % 2)],
        "_patch": f'@@ -1 +1,2 @@\n-old = "x"\n+call(promptId="write-{number}", model=m)\n+plain line',
    }


def _review(number: int, n: int, opened: datetime) -> dict[str, Any]:
    states = ("APPROVED", "CHANGES_REQUESTED", "COMMENTED")
    who = list(PEOPLE)[(number + 1 + n) % 3]
    at = stamp(opened + timedelta(minutes=30 * (n + 1)))
    return {"user": account(who), "state": states[(number + n) % 3], "submitted_at": at}


def history(pulls: int = 60, direct: int = 20, *, name: str = "acme/web", github_id: int = 501) -> Repo:
    """A repository with this many pull requests, an hour apart and the newest at `START`, and commits outside any."""
    people = list(PEOPLE)
    states = ("merged", "merged", "closed", "open")
    repo = Repo(github_id, name)
    for number in range(1, pulls + 1):
        at = START - timedelta(hours=pulls - number)
        repo.pulls.append(a_pull(number, at, people[number % 3], state=states[number % 4], commits=1 + number % 3))
    repo.commits = [
        a_commit(f"Direct {n}", START - timedelta(hours=n), people[n % 3], "direct", name) for n in range(direct)
    ]
    return repo


def snapshot_lines(repo: Repo) -> list[bytes]:
    """The same facts as lines of a snapshot file."""
    lines: list[dict[str, Any]] = [
        {"type": "repository", "name": repo.name, "id": repo.github_id, "defaultBranch": repo.default_branch}
    ]
    if any(pull["user"] == BOT for pull in repo.pulls):
        lines.append({"type": "person", "login": BOT["login"], "id": BOT["id"], "bot": True})
    for pull in repo.pulls:
        lines.append(
            {
                "type": "pull", "repo": repo.name, "number": pull["number"], "title": pull["title"],
                "body": pull["body"], "author": pull["user"]["login"], "authorId": pull["user"]["id"],
                "headRef": pull["head"]["ref"], "headSha": pull["head"]["sha"], "baseRef": pull["base"]["ref"],
                "createdAt": pull["created_at"], "mergedAt": pull["merged_at"], "closedAt": pull["closed_at"],
                "mergeCommitSha": pull["merge_commit_sha"], "additions": pull["additions"],
                "deletions": pull["deletions"], "changedFiles": pull["changed_files"],
                "labels": [label["name"] for label in pull["labels"]],
                "reviews": [
                    {
                        "author": review["user"]["login"], "authorId": review["user"]["id"],
                        "state": review["state"], "submittedAt": review["submitted_at"],
                    }
                    for review in pull["_reviews"]
                ],
                "commits": [_snapshot_commit(commit, pull["head"]["ref"]) for commit in pull["_commits"]],
            }
        )  # fmt: skip
    lines += [
        {"type": "commit", "repo": repo.name} | _snapshot_commit(commit, repo.default_branch) for commit in repo.commits
    ]
    return [json.dumps(line).encode() for line in lines]


def _snapshot_commit(commit: Mapping[str, Any], branch: str) -> dict[str, Any]:
    return {
        "sha": commit["sha"],
        "message": commit["commit"]["message"],
        "author": commit["author"]["login"],
        "authorId": commit["author"]["id"],
        "authorEmail": commit["commit"]["author"]["email"],
        "authoredAt": commit["commit"]["author"]["date"],
        "committedAt": commit["commit"]["committer"]["date"],
        "branches": [branch],
    }


@contextmanager
def serving(*repos: Repo) -> Iterator[Peer]:
    """The server on a free port, ended afterwards."""
    peer = Peer(repos=list(repos))
    server = _Server(("127.0.0.1", 0), _handler(peer))
    peer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed goes away in the middle."""


Answer = tuple[int, dict[str, str], Any]


def _handler(peer: Peer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16  # headers and body in one packet

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_PATCH(self) -> None:
            self._answer("PATCH")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def _answer(self, verb: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with peer.lock:
                peer.calls.append(f"{verb} {self.path}")
                scripted = next(
                    (one for one in peer.scripts if one.answers and one.pattern.search(f"{verb} {self.path}")), None
                )
                status, headers, told = scripted.answers.pop(0) if scripted else _true(peer, verb, self.path, body)
            if peer.delay:
                threading.Event().wait(peer.delay)
            text = json.dumps(told).encode() if told is not None else b""
            if status == 200 and verb == "GET":
                headers = headers | {"ETag": f'"{hashlib.sha1(text).hexdigest()}"'}
                if self.headers.get("If-None-Match") == headers["ETag"]:
                    status, text = 304, b""
                    with peer.lock:
                        peer.free += 1
            self.send_response_only(status)
            headers = {"Date": self.date_time_string()} | headers
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


def _true(peer: Peer, verb: str, path: str, body: bytes) -> Answer:
    url = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    for pattern, make in _ROUTES:
        if found := re.fullmatch(pattern, f"{verb} {url.path}"):
            return make(peer, query, body, *found.groups())
    return 404, {}, {"message": "Not Found"}


def _repo_body(repo: Repo) -> dict[str, Any]:
    newest = repo.commits[0]["sha"] if repo.commits else None
    return {
        "id": repo.github_id, "full_name": repo.name, "default_branch": repo.default_branch,
        "archived": repo.archived, "private": repo.private, "pushed": newest,
    }  # fmt: skip


def _find(peer: Peer, name: str) -> Repo | None:
    return next((repo for repo in peer.repos if repo.name.lower() == name.lower()), None)


def _by_id(peer: Peer, query: Any, body: bytes, number: str) -> Answer:
    for repo in peer.repos:
        if repo.github_id == int(number):
            return 200, {}, _repo_body(repo)
    return 404, {}, {"message": "Not Found"}


def _paged(peer: Peer, query: Mapping[str, str], rows: list[Any]) -> Answer:
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": "4102444800"}
    if page * size < len(rows):
        headers["Link"] = f'<{peer.url}/?page={page + 1}>; rel="next"'
    return 200, headers, rows[(page - 1) * size : page * size]


def _newest_first(repo: Repo) -> list[dict[str, Any]]:
    return sorted(repo.pulls, key=lambda pull: (pull["updated_at"], pull["number"]), reverse=True)


def _told(repo: Repo, pull: Mapping[str, Any], *, details: bool) -> dict[str, Any]:
    hidden = {"_commits", "_reviews", "_patch"} | (set() if details else {"additions", "deletions", "changed_files"})
    told = {name: value for name, value in pull.items() if name not in hidden}
    told["base"] = {"ref": pull["base"]["ref"], "repo": {"id": repo.github_id, "full_name": repo.name}}
    return told


def _pulls(peer: Peer, query: Mapping[str, str], body: bytes, name: str) -> Answer:
    if (repo := _find(peer, name)) is None:
        return 404, {}, {"message": "Not Found"}
    return _paged(peer, query, [_told(repo, pull, details=False) for pull in _newest_first(repo)])


def _pull(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    repo = _find(peer, name)
    for pull in repo.pulls if repo else ():
        if repo and pull["number"] == int(number):
            return 200, {}, _told(repo, pull, details=True)
    return 404, {}, {"message": "Not Found"}


def _pull_commits(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    repo = _find(peer, name)
    for pull in repo.pulls if repo else ():
        if pull["number"] == int(number):
            return _paged(peer, query, pull["_commits"][:250])
    return 404, {}, {"message": "Not Found"}


def _pull_reviews(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    repo = _find(peer, name)
    found = [pull["_reviews"] for pull in (repo.pulls if repo else ()) if pull["number"] == int(number)]
    return _paged(peer, query, found[0]) if found else (404, {}, {"message": "Not Found"})


def _pull_files(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    repo = _find(peer, name)
    found = [pull["_patch"] for pull in (repo.pulls if repo else ()) if pull["number"] == int(number)]
    files = [{"filename": "app.py", "patch": found[0]}, {"filename": "picture.png"}] if found else []
    return _paged(peer, query, files) if found else (404, {}, {"message": "Not Found"})


def _comments(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    if _pull(peer, query, body, name, number)[0] != 200:
        return 404, {}, {"message": "Not Found"}
    return _paged(peer, query, [one for one in peer.comments.values() if one["_place"] == (name, number)])


def _comment(peer: Peer, query: Mapping[str, str], body: bytes, name: str, number: str) -> Answer:
    if _pull(peer, query, body, name, number)[0] != 200:
        return 404, {}, {"message": "Not Found"}
    made = {"id": 7_000 + len(peer.calls), "user": peer.commenter, "body": json.loads(body)["body"]}
    peer.comments[made["id"]] = made | {"_place": (name, number)}
    return 201, {}, made


def _change_comment(peer: Peer, query: Any, body: bytes, name: str, number: str) -> Answer:
    if int(number) not in peer.comments:
        return 404, {}, {"message": "Not Found"}
    peer.comments[int(number)]["body"] = json.loads(body)["body"]
    return 200, {}, peer.comments[int(number)]


def _delete_comment(peer: Peer, query: Any, body: bytes, name: str, number: str) -> Answer:
    gone = peer.comments.pop(int(number), None)
    return (404, {}, {"message": "Not Found"}) if gone is None else (204, {}, None)


def _commits(peer: Peer, query: Mapping[str, str], body: bytes, name: str) -> Answer:
    if (repo := _find(peer, name)) is None:
        return 404, {}, {"message": "Not Found"}
    if not repo.commits:
        return 409, {}, {"message": "Git Repository is empty."}
    since = query.get("since", "")
    return _paged(peer, query, [one for one in repo.commits if one["commit"]["committer"]["date"] >= since])


def _mint(peer: Peer, query: Any, body: bytes, number: str) -> Answer:
    peer.minted += 1
    until = datetime.now(UTC) + timedelta(hours=1)
    return 201, {}, {"token": f"ghs_{number}_{peer.minted}", "expires_at": stamp(until)}


def _installations(peer: Peer, query: Any, body: bytes) -> Answer:
    numbers = sorted({repo.installation for repo in peer.repos})
    told: dict[str, Any] = {"account": {"login": "acme"}, "suspended_at": None}
    if peer.may_comment is not None:
        told["permissions"] = {"metadata": "read", "pull_requests": "write" if peer.may_comment else "read"}
    return 200, {}, [{"id": number} | told for number in numbers]


def _offered(peer: Peer, query: Mapping[str, str], body: bytes) -> Answer:
    status, headers, rows = _paged(peer, query, [_repo_body(repo) for repo in peer.repos])
    return status, headers, {"total_count": len(peer.repos), "repositories": rows}


def _hook_config(peer: Peer, query: Any, body: bytes) -> Answer:
    peer.hook_secret = json.loads(body)["secret"]
    return 200, {}, {"content_type": "json"}


def _redeliver(peer: Peer, query: Any, body: bytes, number: str) -> Answer:
    peer.redelivered.append(int(number))
    return 202, {}, {}


def _graphql(peer: Peer, query: Any, body: bytes) -> Answer:
    asked = json.loads(body)
    root = {"repository": lambda _info, owner, name, **_: _repository(peer, f"{owner}/{name}"), "rateLimit": _RATE}
    done = graphql_sync(schema(), asked["query"], root_value=root, variable_values=asked["variables"])
    answer: dict[str, Any] = {"data": done.data}
    if done.errors:
        answer["errors"] = [{"message": error.message} for error in done.errors]
    return 200, {}, answer


_RATE = {"cost": 1, "remaining": 4321, "limit": 5000, "resetAt": "2100-01-01T00:00:00Z"}


@cache
def schema() -> GraphQLSchema:
    """GitHub's public schema; custom scalars are taken as they come."""
    return build_schema(graphql_schema(), assume_valid=True)


def _connection(rows: list[Any], first: int, after: str | None) -> dict[str, Any]:
    start = int(after or 0)
    part = rows[start : start + first]
    more = start + first < len(rows)
    return {"nodes": part, "pageInfo": {"hasNextPage": more, "endCursor": str(start + len(part)) if part else None}}


def _repository(peer: Peer, name: str) -> dict[str, Any] | None:
    if (repo := _find(peer, name)) is None:
        return None
    pulls = [_node(pull) for pull in _newest_first(repo)]
    return {
        "pullRequests": lambda _info, first, after=None, **_: _connection(pulls, first, after),
        "pullRequest": lambda _info, number: next(_node(one) for one in repo.pulls if one["number"] == number),
        "object": lambda _info, **_: _branch(repo),
    }


def _branch(repo: Repo) -> dict[str, Any] | None:
    if not repo.commits:
        return None

    def listed(_info: Any, first: int, after: str | None = None, since: str = "", **_: Any) -> dict[str, Any]:
        rows = [one for one in repo.commits if one["commit"]["committer"]["date"] >= since]
        return _connection([_commit_node(one) for one in rows], first, after)

    return {"__typename": "Commit", "history": listed}


def _node(pull: Mapping[str, Any]) -> dict[str, Any]:
    who = pull["user"]
    commits = [{"commit": _commit_node(commit)} for commit in pull["_commits"]]
    return {
        "number": pull["number"], "title": pull["title"], "body": pull["body"], "createdAt": pull["created_at"],
        "updatedAt": pull["updated_at"], "mergedAt": pull["merged_at"], "closedAt": pull["closed_at"],
        "author": _actor(who),
        "headRefName": pull["head"]["ref"], "headRefOid": pull["head"]["sha"], "baseRefName": pull["base"]["ref"],
        "mergeCommit": {"oid": pull["merge_commit_sha"]} if pull["merged_at"] else None,
        "additions": pull["additions"], "deletions": pull["deletions"], "changedFiles": pull["changed_files"],
        "labels": {"nodes": pull["labels"]},
        "reviews": {
            "nodes": [
                {"state": one["state"], "submittedAt": one["submitted_at"], "author": _actor(one["user"])}
                for one in pull["_reviews"]
            ]
        },
        "commits": lambda _info, first, after=None: _connection(commits, first, after),
    }  # fmt: skip


def _actor(who: Mapping[str, Any]) -> dict[str, Any]:
    return {"__typename": who["type"], "login": who["login"].removesuffix("[bot]"), "databaseId": who["id"]}


def _commit_node(commit: Mapping[str, Any]) -> dict[str, Any]:
    author = commit["author"]
    return {
        "oid": commit["sha"],
        "message": commit["commit"]["message"],
        "authoredDate": commit["commit"]["author"]["date"],
        "committedDate": commit["commit"]["committer"]["date"],
        "author": {
            "email": commit["commit"]["author"]["email"],
            "user": {"login": author["login"], "databaseId": author["id"]} if author else None,
        },
    }


_NAME = r"/repos/([^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, Callable[..., Answer]], ...] = (
    (r"GET /repositories/(\d+)", _by_id),
    (rf"GET {_NAME}/pulls", _pulls),
    (rf"GET {_NAME}/pulls/(\d+)", _pull),
    (rf"GET {_NAME}/pulls/(\d+)/commits", _pull_commits),
    (rf"GET {_NAME}/pulls/(\d+)/reviews", _pull_reviews),
    (rf"GET {_NAME}/pulls/(\d+)/files", _pull_files),
    (rf"GET {_NAME}/issues/(\d+)/comments", _comments),
    (rf"POST {_NAME}/issues/(\d+)/comments", _comment),
    (rf"PATCH {_NAME}/issues/comments/(\d+)", _change_comment),
    (rf"DELETE {_NAME}/issues/comments/(\d+)", _delete_comment),
    (rf"GET {_NAME}/commits", _commits),
    (r"POST /graphql", _graphql),
    (r"GET /app/installations", _installations),
    (r"POST /app/installations/(\d+)/access_tokens", _mint),
    (r"GET /installation/repositories", _offered),
    (r"GET /user", lambda peer, query, body: (200, {}, account("alice"))),
    (r"GET /user/repos", lambda peer, query, body: _paged(peer, query, [_repo_body(repo) for repo in peer.repos])),
    (r"POST /app-manifests/([\w-]+)/conversions", lambda peer, query, body, code: (201, {}, peer.app)),
    (r"PATCH /app/hook/config", _hook_config),
    (r"GET /app/hook/deliveries", lambda peer, query, body: (200, {}, peer.deliveries)),
    (r"POST /app/hook/deliveries/(\d+)/attempts", _redeliver),
)
