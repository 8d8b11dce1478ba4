"""An organization of alice's in a database of its own, with short words for runs and pull requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from costlens.domain.errors import CostLensError
from costlens.domain.github import CommitRecord, PullRecord
from costlens.domain.names import identities_of
from costlens.domain.runs import RunInput
from costlens.domain.usage import Usage
from costlens.services.ingest import Accepted, Result, ingest
from costlens.services.keys import authenticate, new_key
from costlens.services.organizations import create_organization
from costlens.store import tables as t
from costlens.store.engine import Store
from costlens.store.organizations import KeyRow, Organization
from costlens.store.pull_outcomes import facts_of, outcomes_of
from costlens.store.rollups import Change
from tests.databases import open_store

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
MODEL = "gpt-4o"  # priced; input 2.50 and output 10.00 dollars a million tokens


@dataclass(frozen=True, slots=True)
class Ledger:
    """The database, alice's organization and its keys: `key` is shared, `own` is alice's."""

    store: Store
    organization: Organization
    key: KeyRow
    own: KeyRow

    def send(
        self, *items: RunInput | CostLensError, key: KeyRow | None = None, now: datetime = NOW
    ) -> Sequence[Result]:
        return ingest(self.store, key or self.key, items, now=now).results

    def send_one(self, item: RunInput, *, key: KeyRow | None = None, now: datetime = NOW) -> Any:
        """The stored row as the database has it."""
        result = self.send(item, key=key, now=now)[0]
        assert isinstance(result, Accepted), result
        return self.row(result.run["id"])

    def row(self, run_id: int) -> Any:
        with self.store.read() as tx:
            return tx.execute(select(t.runs).where(t.runs.c.id == run_id)).one()

    def rows(self, table: Any) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            return [dict(row) for row in tx.execute(select(table).order_by(*table.primary_key.columns)).mappings()]

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        """Every table whole: two equal dumps mean that nothing was written between them."""
        return {table.name: self.rows(table) for table in t.metadata.sorted_tables}

    def make_key(self, **values: Any) -> KeyRow:
        with self.store.write() as tx:
            text = new_key(tx, self.organization.id, "another", now=NOW, **values)
        return authenticate(self.store, text, "ingest", now=NOW)

    def repository(self, name: str) -> int:
        with self.store.read() as tx:
            query = select(t.repository_aliases.c.repository_id).where(t.repository_aliases.c.name == name.lower())
            return int(tx.execute(query).scalar_one())


@contextmanager
def open_ledger(timezone: str = "UTC", *, engine: str = "sqlite") -> Iterator[Ledger]:
    with open_store(engine) as store:
        created = create_organization(store, "Acme", "alice@example.com", plan="enterprise", timezone=timezone, now=NOW)
        with store.write() as tx:
            shared = new_key(tx, created.organization.id, "shared", now=NOW)
        key, own = (authenticate(store, text, "ingest", now=NOW) for text in (shared, created.api_key))
        yield Ledger(store, created.organization, key, own)


def a_run(**values: Any) -> RunInput:
    """A priced run of a thousand tokens in and a hundred out: 3.5 million nano-dollars."""
    tokens = Usage(input_uncached=1000, output_text=100)
    return replace(RunInput("openai", MODEL, tokens, NOW - timedelta(hours=1)), **values)


def tokens(read: int, written: int, **values: Any) -> Usage:
    return Usage(input_uncached=read, output_text=written, **values)


def a_commit(
    sha: str, at: datetime, *, who: str = "alice", repository: str = "acme/web", **values: Any
) -> CommitRecord:
    author = identities_of(login=who, email=f"{who}@example.com")
    return replace(CommitRecord(repository, sha, at, at, f"Change {sha}", author), **values)


def a_pull(number: int, *commits: CommitRecord, repository: str = "acme/web", **values: Any) -> PullRecord:
    """A pull request on branch `feature/<number>`, open."""
    first = min((commit.authored_at for commit in commits), default=NOW)
    pull = PullRecord(
        repository,
        number,
        f"Pull {number}",
        first,
        commits[0].author if commits else (),
        head_ref=f"feature/{number}",
        base_ref="main",
        commits=commits,
    )
    return replace(pull, **values)


def check_sums(ledger: Ledger) -> None:
    """Rollups equal what the stored runs and links add up to, group by group and not only in total."""
    runs, links = ledger.rows(t.runs), ledger.rows(t.links)
    expected = Change(ledger.organization.id, ledger.organization.timezone)
    for run in runs:
        own = [link for link in links if link["run_id"] == run["id"] and link["valid_to"] is None]
        expected.add_run(run)
        expected.add_ledger(run, own)
        counted = sum(link["cost_nanos"] for link in own if link["state"] == "counted")
        assert counted == run["counted_nanos"] <= (run["cost_nanos"] or 0)
    with ledger.store.read() as tx:
        outcomes = outcomes_of(tx, ledger.organization.id, expected.pull_ids)
    for row in ledger.rows(t.rollup_pulls):
        if row["runs"] or row["cost_nanos"]:
            assert tuple(row[name] for name in t.PULL_FACTS) == facts_of(outcomes, row["pull_request_id"])
    for table, measures, groups in expected.groups(outcomes):
        keys = [column.name for column in table.primary_key.columns]
        stored = {
            tuple(row[name] for name in keys): tuple(row[name] for name in measures)
            for row in ledger.rows(table)
            if any(row[name] for name in measures)
        }
        wanted = {(ledger.organization.id, *key): tuple(sums) for key, sums in groups.items() if any(sums)}
        assert stored == wanted, table.name


def check_buckets(ledger: Ledger) -> None:
    """Under any one filter the buckets of the ledger add up to the cost and number of the runs, straight from both."""
    runs, buckets = ledger.rows(t.runs), ledger.rows(t.rollup_links)
    change = Change(ledger.organization.id, ledger.organization.timezone)
    homes = {
        row["run_id"]: row["repository_id"]
        for row in ledger.rows(t.links)
        if row["valid_to"] is None and row["state"] == "counted"
    }
    views: dict[str, Any] = {
        "all": lambda run: 0,
        "team_id": lambda run: run["team_id"] or 0,
        "provider": lambda run: run["provider"],
        "day": change.day,
        "repository_id": lambda run: run["repository_id"] or homes.get(run["id"], 0),
    }
    for name, of_run in views.items():
        wanted: dict[Any, list[int]] = {}
        for run in runs:
            sums = wanted.setdefault(of_run(run), [0, 0, 0])
            sums[0] += 1
            sums[1] += run["cost_nanos"] is not None
            sums[2] += run["cost_nanos"] or 0
        found: dict[Any, list[int]] = {}
        for row in buckets:
            sums = found.setdefault(row[name] if name != "all" else 0, [0, 0, 0])
            for place, measure in enumerate(("runs", "priced_runs", "cost_nanos")):
                sums[place] += row[measure]
        assert {key: sums for key, sums in found.items() if any(sums)} == wanted, name
    assert {row["state"] for row in buckets} <= {"counted", "suggested", "pending", "unlinked", "not_code"}
