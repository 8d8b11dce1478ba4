"""An organization that is connected to the peer, and a clock that a test turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.access import Member
from costlens.services.github_access import OF_TOKEN, GitHub
from costlens.services.github_walk import Step, advance
from costlens.services.sealing import Box
from costlens.store import connections
from costlens.store import sync as sync_store
from costlens.store.engine import Store
from costlens.store.organizations import find_member
from tests.github.peer import START, Peer

TOKEN = "github_pat_of_alice"


@dataclass(slots=True)
class World:
    """Walks on the peer, driven by hand."""

    store: Store
    peer: Peer
    organization_id: int
    source: str = "rest"
    now: datetime = START + timedelta(hours=1)
    box: Box = field(default_factory=lambda: Box(("a secret of the tests that is long enough",)))

    @property
    def github(self) -> GitHub:
        return GitHub(self.peer.url, self.source, timedelta(days=180), self.box)

    @property
    def alice(self) -> Member:
        """Who owns the organization."""
        with self.store.read() as tx:
            row = find_member(tx, self.organization_id, "alice@example.com")
        assert row is not None
        return Member(self.organization_id, row.id, row.user_id, "alice@example.com", row.role)

    def connect(self, *github_ids: int) -> None:
        """A connection by token with these repositories chosen; none: all."""
        with self.store.write() as tx:
            connections.create_connection(
                tx,
                {
                    "organization_id": self.organization_id, "kind": "token", "hook_id": f"h{self.organization_id}",
                    "token": self.box.seal(TOKEN), "webhook_secret": self.box.seal("hush"), "list_due": False,
                    "created_by": "alice@example.com", "created_at": self.now,
                },
            )  # fmt: skip
            connections.keep_installations(tx, self.organization_id, {OF_TOKEN: "alice"})
            rows = [
                {
                    "installation_id": OF_TOKEN, "github_id": repo.github_id, "name": repo.name,
                    "private": True, "archived": False, "default_branch": repo.default_branch,
                }
                for repo in self.peer.repos
            ]  # fmt: skip
            sync_store.save_offered(tx, self.organization_id, rows)
            wanted = [
                row.id
                for row in sync_store.list_sources(tx, self.organization_id)
                if not github_ids or row.github_id in github_ids
            ]
            sync_store.choose(tx, self.organization_id, wanted, self.now)

    def row(self, github_id: int = 501) -> Any:
        with self.store.read() as tx:
            rows = sync_store.list_sources(tx, self.organization_id)
        return next(row for row in rows if row.github_id == github_id)

    def step(self, github_id: int = 501, *, pages: int = 8) -> Step:
        """One job on a repository."""
        return advance(
            self.store, self.github, self.organization_id, self.row(github_id).id,
            clock=lambda: self.now, pages_a_job=pages,
        )  # fmt: skip

    def walk(self, github_id: int = 501, *, pages: int = 8, jobs: int = 200) -> None:
        """Jobs until nothing is left to do now."""
        for _ in range(jobs):
            if self.step(github_id, pages=pages).wait != timedelta(0):
                return
        raise AssertionError("the walk does not end")

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
