"""The repository of `benchmarks.link_events`: its pull requests, commits and runs.

A year of 200 people, each with one pull request after the other. A pull request is open for up to three days and has
one to nine commits of up to five of 3,000 files; eleven of twelve are squashed into one commit on main, the others are
closed unmerged, and each person's last one is open. For four pull requests there is one commit on main without any.
Runs come in three sessions a pull request: one in ten on a branch of another name, half of those before the first
commit on main, the rest on its branch. Half name files, half the commit they started from, one in 33 the pull request's
number, one in twenty no person. One pull request in ten has a session trailer, one in fifty a prompt trailer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from costlens.domain.github import CommitRecord, PullRecord, RepositoryRecord
from costlens.domain.names import identities_of
from costlens.domain.runs import RunIds
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.identity import person_ids, repository_ids
from costlens.store.organizations import Organization
from costlens.store.rollups import Change
from costlens.store.types import to_millis
from costlens.store.upsert import insert_many

REPOSITORY = "acme/web"
PEOPLE, DAYS, FILES, PROMPTS = 200, 365, 3_000, 30
PAGE = 5_000  # runs a transaction
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MODELS = (("anthropic", "claude-sonnet-4-5"), ("openai", "gpt-5.4"))


@dataclass(slots=True)
class Pull:
    """A pull request of the generator."""

    number: int
    person: int  # place among the people
    opened: datetime  # when work on it begins
    commits: list[CommitRecord] = field(default_factory=list)
    ended: datetime | None = None  # None: open
    merged: bool = False

    @property
    def branch(self) -> str:
        return f"feature/{self.number}"

    def record(self, **values: Any) -> PullRecord:
        """As GitHub tells of it."""
        made = PullRecord(
            REPOSITORY,
            self.number,
            f"Change {self.number}",
            self.commits[0].authored_at + HOUR,
            author(self.person),
            head_ref=self.branch,
            base_ref="main",
            merged_at=self.ended if self.merged else None,
            closed_at=self.ended,
            merge_commit_sha=sha(self.number, "m") if self.merged else None,
            commits=tuple(self.commits),
        )
        return replace(made, **values)


def author(person: int) -> Any:
    """The identities of one of the people."""
    return identities_of(login=f"dev{person}", email=f"dev{person}@example.com")


def sha(number: int, what: str) -> str:
    """A name of forty letters, the same each time."""
    return random.Random(f"{number} {what}").randbytes(20).hex()


class World:
    """The pull requests in the order of their numbers, and runs for them."""

    def __init__(self, pulls: int, now: datetime) -> None:
        self.rng, self.now = random.Random(1), now
        self.pulls: list[Pull] = []
        each = pulls // PEOPLE
        for turn in range(each):
            for person in range(PEOPLE):
                start = now - timedelta(days=DAYS) * (1 - (turn + self.rng.random() * 0.2) / each)
                self.pulls.append(self._pull(len(self.pulls) + 1, person, start, last=turn == each - 1))

    def _pull(self, number: int, person: int, start: datetime, *, last: bool) -> Pull:
        rng, pull = self.rng, Pull(number, person, start)
        at = start + rng.random() * 4 * HOUR
        for place in range(rng.randint(1, 9)):
            trailer = f"\n\nCostLens-Session: s-{number}-0" if number % 10 == 0 and place == 0 else ""
            if number % 50 == 1 and place == 0:
                trailer = f"\n\nCostLens-Prompt: prompt-{number % PROMPTS}"
            pull.commits.append(
                self.commit(number, str(place), person, min(at, self.now), f"Step{trailer}", pull.branch)
            )
            at += rng.random() * 8 * HOUR
        if not last:
            pull.ended, pull.merged = at + HOUR, rng.random() > 1 / 12
        return pull

    def commit(self, number: int, what: str, person: int, at: datetime, message: str, branch: str) -> CommitRecord:
        """A commit of some of the files."""
        names = tuple(f"src/module_{self.rng.randrange(FILES)}.py" for _ in range(self.rng.randint(1, 5)))
        return CommitRecord(REPOSITORY, sha(number, what), at, at, message, author(person), names, (branch,))

    def on_main(self) -> Iterator[CommitRecord]:
        """Squashed pull requests, and one commit in twenty without any."""
        for pull in self.pulls:
            if pull.merged and pull.ended:
                yield self.commit(pull.number, "m", pull.person, pull.ended, f"Change (#{pull.number})", "main")
            if pull.number % 4 == 0:
                yield self.commit(pull.number, "d", pull.person, pull.opened, "Direct", "main")

    def run(self, pull: Pull, place: int, of: int) -> dict[str, Any]:
        """What a run of a pull request says of itself: the `place`-th of so many."""
        rng = self.rng
        last = pull.commits[-1].authored_at
        at = pull.opened + (last - pull.opened) * (place + rng.random()) / of
        commit = next((one for one in pull.commits if one.authored_at >= at), pull.commits[-1])
        early, kind = at < pull.commits[0].authored_at, rng.random()
        return {
            "occurred_at": min(at, self.now),
            "person": pull.person if rng.random() < 0.95 else None,
            "branch": "main" if early and kind < 0.5 else f"wip/{pull.number}" if kind > 0.9 else pull.branch,
            "session_id": f"s-{pull.number}-{place * 3 // of}",
            "commit_sha": commit.sha if rng.random() < 0.5 else None,
            "pr_number": pull.number if rng.random() < 0.03 else None,
            "files": list(commit.files[:2]) if rng.random() < 0.5 else None,
            "prompt_id": f"prompt-{rng.randrange(PROMPTS)}",
        }


def fill(store: Store, organization: Organization, world: World, runs: int) -> int:
    """Stores the facts and the runs, which the linker has not seen; answers the repository's id."""
    facts = (RepositoryRecord(REPOSITORY, 1, "main"), *(pull.record() for pull in world.pulls), *world.on_main())
    import_records(store, organization.id, facts, now=world.now)
    with store.write() as tx:
        repository = repository_ids(tx, organization.id, [REPOSITORY], world.now)[REPOSITORY]
        people = [
            person_ids(tx, organization.id, [author(person)], world.now)[author(person)] for person in range(PEOPLE)
        ]
    ids, each = RunIds(), max(1, runs // len(world.pulls))
    said = (world.run(pull, place, each) for pull in world.pulls for place in range(each))
    while page := list(islice(said, PAGE)):
        change = Change(organization.id, organization.timezone)
        rows = [_row(organization.id, repository, people, ids, run) for run in page]
        for row in rows:
            change.add_run(row)
            change.add_ledger(row, ())
        head = {"organization_id": organization.id, "kind": "request", "content_hash": b""}
        with store.write() as tx:
            insert_many(tx, t.runs, rows)
            insert_many(tx, t.run_keys, [head | {"value": row["request_id"], "run_id": row["id"]} for row in rows])
            change.write(tx)
    tidy(store)
    return repository


def tidy(store: Store) -> None:
    """What PostgreSQL does by itself after a while."""
    if store.dialect == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _row(
    organization_id: int, repository_id: int, people: list[int], ids: RunIds, run: dict[str, Any]
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in t.runs.columns)
    number = ids.take(to_millis(run["occurred_at"]))
    provider, model = MODELS[number % 2]
    cost = 1_000_000 + number % 1_000_003
    row |= dict.fromkeys(t.USAGE_COLUMNS, 100) | {name: value for name, value in run.items() if name != "person"}
    return row | {
        "id": number,
        "organization_id": organization_id,
        "request_id": f"request-{number}",
        "source": "api",
        "received_at": run["occurred_at"],
        "person_id": None if run["person"] is None else people[run["person"]],
        "provider": provider,
        "model": model,
        "tool": "claude-code",
        "code": True,
        "repository_id": repository_id,
        "commit_role": run["commit_sha"] and "head_before",
        "usage_quality": "exact",
        "cost_nanos": cost,
        "list_cost_nanos": cost,
        "cost_status": "priced",
        "success": True,
        "latency_ms": 900,
        "cache_hit": False,
        "link_state": "pending",
        "counted_nanos": 0,
    }
