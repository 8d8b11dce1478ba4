"""A small organization whose every figure is computed by hand: the pull requests, runs and commits of acme/web.

January 2025, UTC. In dollars, by pull request:

    #1 merged   gpt-5.4 1.25 and claude-sonnet-4-5 2.50 on the 10th, claude-sonnet-4-5 0.75 on the 11th        4.50
    #2 open     gpt-5.4 3.00 on the 12th                                                                       3.00
    #3 closed   gpt-5.4 0.50 on the 13th                                                                       0.50
    #4 merged   no run, but a trailer of an agent
    #5 merged   no run, no sign
    not linked  0.40 on main without a match, 0.10 naming no repository, 9.00 in production

First commit of #1 10 Jan 12:00, opened 13:00, reviewed by its author 14:00 and by bob 18:00, merged 11 Jan 09:00:
coding 1 h, pickup 5 h, review 15 h, cycle time 21 h.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from costlens.github.snapshot import read_snapshot
from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.services.verify import check
from costlens.store.engine import Store
from costlens.store.identity import find_repositories
from costlens.store.organizations import Organization
from tests.web.caller import Caller

WEB = "acme/web"
DATES = "from=2025-01-01&to=2025-01-31"
_AGENT = "Add search\n\nCo-Authored-By: Claude <noreply@anthropic.com>"


def _commit(letter: str, at: str, author: str, message: str = "Work") -> dict[str, Any]:
    return {"sha": letter * 40, "authoredAt": at, "author": author, "message": message}


def _pull(number: int, title: str, author: str, created: str, **values: Any) -> dict[str, Any]:
    head = {"repo": WEB, "number": number, "title": title, "author": author, "headRef": f"work/{number}"}
    return head | {"baseRef": "main", "createdAt": created} | values


SNAPSHOT: list[dict[str, Any]] = [
    {"type": "repository", "name": WEB, "id": 501, "defaultBranch": "main"},
    {"login": "alice", "id": 1, "emails": ["alice@example.com"]},
    {"login": "bob", "id": 2, "emails": ["bob@example.com"]},
    _pull(
        1, "Sign in by link", "alice", "2025-01-10T13:00:00Z", state="merged", mergedAt="2025-01-11T09:00:00Z",
        additions=214, deletions=38, changedFiles=6, commits=[_commit("a", "2025-01-10T12:00:00Z", "alice")],
        reviews=[
            {"author": "alice", "state": "commented", "submittedAt": "2025-01-10T14:00:00Z"},
            {"author": "bob", "state": "approved", "submittedAt": "2025-01-10T18:00:00Z"},
        ],
    ),
    _pull(2, "Search", "bob", "2025-01-12T13:00:00Z", state="open"),
    _pull(3, "Old search", "bob", "2025-01-13T13:00:00Z", state="closed", closedAt="2025-01-14T13:00:00Z"),
    _pull(
        4, "Find more", "bob", "2025-01-15T13:00:00Z", state="merged", mergedAt="2025-01-16T13:00:00Z",
        commits=[_commit("d", "2025-01-15T12:00:00Z", "bob", _AGENT)],
    ),
    _pull(5, "By hand", "bob", "2025-01-17T13:00:00Z", state="merged", mergedAt="2025-01-18T13:00:00Z"),
]  # fmt: skip

_GPT, _CLAUDE = ("openai", "gpt-5.4"), ("anthropic", "claude-sonnet-4-5")
_RUNS: dict[str, tuple[tuple[str, str], float, dict[str, Any]]] = {
    "a": (_GPT, 1.25, {"prNumber": 1, "timestamp": "2025-01-10T11:00:00Z", "promptId": "write-v2"}),
    "b": (_CLAUDE, 2.50, {"prNumber": 1, "timestamp": "2025-01-10T11:30:00Z"}),
    "c": (_CLAUDE, 0.75, {"branch": "work/1", "timestamp": "2025-01-11T08:00:00Z"}),
    "d": (_GPT, 3.00, {"prNumber": 2, "timestamp": "2025-01-12T11:00:00Z", "promptId": "write-v2"}),
    "e": (_GPT, 0.50, {"prNumber": 3, "timestamp": "2025-01-13T11:00:00Z"}),
    "stray": (_GPT, 0.40, {"branch": "main", "timestamp": "2025-01-20T11:00:00Z"}),
    "homeless": (_GPT, 0.10, {"timestamp": "2025-01-21T11:00:00Z"}),
    "live": (_GPT, 9.00, {"environment": "production", "timestamp": "2025-01-22T11:00:00Z"}),
}


@dataclass(frozen=True, slots=True)
class Worked:
    """The organization after a linking pass."""

    store: Store
    organization: Organization
    repository_id: int
    ids: dict[str, str]  # the runs by name, as the API shows them

    def import_again(self, *lines: dict[str, Any]) -> None:
        """What GitHub tells next."""
        import_records(
            self.store, self.organization.id, read_snapshot(json.dumps(line).encode() for line in lines or SNAPSHOT)
        )

    def relink(self, *, full: bool = True) -> int:
        """How many runs a pass changes."""
        return sum(
            link_repository(self.store, self.organization.id, number, full=full).changed
            for number in (self.repository_id, 0)
        )

    @property
    def balanced(self) -> bool:
        """Whether every sum is that of the runs."""
        return not check(self.store, self.organization.id).findings


def worked(store: Store, organization: Organization, alice: Caller) -> Worked:
    """Sends the runs, imports the facts and links them; alice's key is personal."""
    ids = {}
    for name, ((provider, model), cost, values) in _RUNS.items():
        named = {} if name == "homeless" else {"repo": WEB}
        body = {"provider": provider, "model": model, "inputTokens": 1000, "outputTokens": 100, "cost": cost}
        response = alice.post("/integrations/run", body | {"requestId": name} | named | values)
        assert response.status_code == 200, response.text
        ids[name] = response.json["run"]["id"]
    import_records(store, organization.id, read_snapshot(json.dumps(line).encode() for line in SNAPSHOT))
    with store.read() as tx:
        repository_id = find_repositories(tx, organization.id, [WEB])[WEB]
    made = Worked(store, organization, repository_id, ids)
    made.relink(full=False)
    return made
