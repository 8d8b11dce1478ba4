"""The ledger under random work: whatever comes in whatever order, each nano-dollar stays in exactly one bucket."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from costlens.domain.names import identities_of
from costlens.domain.periods import local_day
from costlens.domain.runs import RunInput
from costlens.services.ingest import Accepted
from costlens.services.linking import decide_links, link_repository
from costlens.services.organizations import create_team
from costlens.services.reclassify import reclassify, reclassify_run
from costlens.services.repricing import reprice
from costlens.services.sync import import_records
from costlens.services.verify import check
from costlens.store import tables as t
from costlens.store.identity import person_ids
from costlens.store.organizations import KeyRow
from costlens.store.run_changes import Selection
from costlens.store.upsert import put
from tests.services.ledger import (
    NOW,
    Ledger,
    a_commit,
    a_pull,
    a_run,
    check_buckets,
    check_sums,
    open_ledger,
    tokens,
)
from tests.services.some_rules import apply_some_rules

REPOSITORIES = ("acme/web", "Acme/API")
PEOPLE = ("alice", "bob", "bob@example.com", "9+charlie@users.noreply.github.com", "charlie")
SESSIONS = ("s1", "s2", "s3")


def minutes_ago(most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(0, most).map(lambda minutes: timedelta(minutes=minutes))


runs = st.builds(
    lambda age, **values: a_run(occurred_at=NOW - age, **values),
    age=st.one_of(minutes_ago(600), minutes_ago(60 * 24 * 45)),
    model=st.sampled_from(("gpt-4o", "gpt-4o", "gpt-4o-mini", "no-such-model-9")),
    provider=st.sampled_from(("openai", "openai", "azure")),
    usage=st.builds(tokens, st.integers(0, 5000), st.integers(0, 700)),
    request_id=st.sampled_from((None, *(f"r{n}" for n in range(10)))),
    source=st.sampled_from(("api", "api", "sdk", "otlp")),
    actor=st.none() | st.sampled_from(PEOPLE),
    repository=st.sampled_from((None, *REPOSITORIES, *REPOSITORIES, "acme/api", "acme/unknown")),
    branch=st.none() | st.sampled_from(("main", "feature/1", "feature/2", "feature/3")),
    session_id=st.none() | st.sampled_from(SESSIONS),
    pr_number=st.sampled_from((None, None, 1, 2, 3, 9)),
    environment=st.sampled_from((None, None, None, "production")),
    latency_ms=st.none() | st.integers(0, 10_000),
    reported_cost_nanos=st.sampled_from((None, None, None, 7, 1_000_001)),
)


@st.composite
def pulls(draw: st.DrawFn) -> Any:
    """One pull request of a few; the same number comes again with other commits, another body, another end."""
    repository, number = draw(st.sampled_from(REPOSITORIES)), draw(st.integers(1, 3))
    commits = []
    for n in range(draw(st.integers(0, 2))):
        trailer = draw(st.sampled_from(("", "CostLens-Session: s1", "CostLens-Session: s2", "CostLens-Run: r1, r2")))
        age, who = draw(minutes_ago(900)), draw(st.sampled_from(("alice", "bob")))
        sha = f"{number}{n}{draw(st.sampled_from('ab'))}".ljust(40, "0")  # `b`: the branch was rewritten
        message = f"Change\n\n{trailer}" if trailer else "Change"
        commits.append(a_commit(sha, NOW - age, who=who, repository=repository, message=message))
    merged = NOW - timedelta(minutes=5) if draw(st.booleans()) else None
    body = draw(st.sampled_from((None, "", "CostLens-Run: r3", "CostLens-Session: s3", "CostLens-Run: r1, r4")))
    return a_pull(number, *commits, repository=repository, body=body, merged_at=merged, closed_at=merged)


class LedgerMachine(RuleBasedStateMachine):
    """Ingest, import, link, decide, merge, reprice, reclassify and repair at random; the sums hold after every step."""

    engine = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.ledger: Ledger = self.stack.enter_context(open_ledger("America/St_Johns", engine=self.engine))
        self.sent: list[tuple[KeyRow, RunInput, int]] = []
        self.now = NOW

    @initialize(batch=st.lists(runs, min_size=4, max_size=8), records=st.lists(pulls(), min_size=3, max_size=6))
    def a_start(self, batch: list[RunInput], records: list[Any]) -> None:
        """Most work begins with linked runs: sums that move later are the ones that go wrong."""
        team = create_team(self.ledger.store, self.ledger.organization.id, "Payments", now=NOW)
        bound = self.ledger.make_key(team_id=team)
        self.keys_to_use = [self.ledger.key, self.ledger.own, bound, self.ledger.make_key(purpose="production")]
        self.import_facts(records)
        self.ingest([replace(run, environment=None) for run in batch], 0)
        self.link_all()

    @rule(batch=st.lists(runs, min_size=1, max_size=6), key=st.integers(0, 3))
    def ingest(self, batch: list[RunInput], key: int) -> None:
        chosen = self.keys_to_use[key]
        for item, result in zip(batch, self.ledger.send(*batch, key=chosen, now=self.now), strict=True):
            if isinstance(result, Accepted):
                self.sent.append((chosen, item, result.run["id"]))

    @precondition(lambda self: any(item.request_id for _, item, _ in self.sent))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """What a source said once it may say again: the same run, and nothing new."""
        named = [entry for entry in self.sent if entry[1].request_id]
        key, item, run_id = data.draw(st.sampled_from(named))
        before = len(self.ledger.rows(t.runs))
        result = self.ledger.send(item, key=key, now=self.now)[0]
        assert isinstance(result, Accepted), result
        assert (result.new, result.run["id"]) == (False, run_id)
        assert len(self.ledger.rows(t.runs)) == before

    @precondition(lambda self: any(item.request_id for _, item, _ in self.sent))
    @rule(data=st.data(), more=st.integers(0, 300), source=st.sampled_from(("import", "codex", "proxy")))
    def merge(self, data: st.DataObject, more: int, source: str) -> None:
        named = [entry for entry in self.sent if entry[1].request_id]
        key, item, _ = data.draw(st.sampled_from(named))
        other = data.draw(runs)
        usage = tokens(item.usage.input_uncached + more, item.usage.output_text)
        said = replace(other, request_id=item.request_id, source=source, usage=usage)
        result = self.ledger.send(said, key=key, now=self.now)[0]
        if isinstance(result, Accepted):
            self.sent.append((key, said, result.run["id"]))

    @rule(records=st.lists(pulls(), min_size=1, max_size=3))
    def import_facts(self, records: list[Any]) -> None:
        import_records(self.ledger.store, self.ledger.organization.id, records, now=self.now)

    @rule(data=st.data(), full=st.booleans())
    def link(self, data: st.DataObject, full: bool) -> None:
        repository = data.draw(st.sampled_from([0, *(row["id"] for row in self.ledger.rows(t.repositories))]))
        link_repository(self.ledger.store, self.ledger.organization.id, repository, now=self.now, full=full)

    @rule()
    def link_all(self) -> None:
        for repository in (0, *(row["id"] for row in self.ledger.rows(t.repositories))):
            link_repository(self.ledger.store, self.ledger.organization.id, repository, now=self.now)

    @rule(days=st.integers(1, 20))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    @precondition(lambda self: self.sent and self.ledger.rows(t.pull_requests))
    @rule(data=st.data(), confirmed=st.booleans())
    def decide(self, data: st.DataObject, confirmed: bool) -> None:
        pull = data.draw(st.sampled_from(self.ledger.rows(t.pull_requests)))
        run = self.ledger.row(data.draw(st.sampled_from(sorted({run_id for _, _, run_id in self.sent}))))
        if not run.code or run.repository_id not in (None, pull["repository_id"]):
            return
        decide_links(
            self.ledger.store,
            self.ledger.organization.id,
            run.id,
            repository_id=pull["repository_id"],
            decisions={pull["id"]: confirmed},
            by="alice@example.com",
            now=self.now,
        )

    @rule(data=st.data())
    def the_rules_change(self, data: st.DataObject) -> None:
        apply_some_rules(self.ledger, data, self.now)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), code=st.booleans())
    def mark_one_run(self, data: st.DataObject, code: bool) -> None:
        number = data.draw(st.sampled_from(sorted({run_id for _, _, run_id in self.sent})))
        reclassify_run(
            self.ledger.store, self.ledger.organization.id, number, code=code, by="alice@example.com", now=self.now
        )

    @precondition(lambda self: self.sent and self.ledger.rows(t.pull_requests))
    @rule(data=st.data())
    def split_or_undo(self, data: st.DataObject) -> None:
        """Everything that was decided of a run is forgotten, and it is split over pull requests, or over none."""
        run = self.ledger.row(data.draw(st.sampled_from(sorted({run_id for _, _, run_id in self.sent}))))
        pulls = [row for row in self.ledger.rows(t.pull_requests) if run.repository_id in (None, row["repository_id"])]
        chosen = (
            data.draw(st.lists(st.sampled_from(pulls), max_size=3, unique_by=lambda row: row["id"])) if pulls else []
        )
        if len({row["repository_id"] for row in chosen}) > 1 or not run.code:
            return
        if not chosen and not any(row["run_id"] == run.id for row in self.ledger.rows(t.link_decisions)):
            return
        decide_links(
            self.ledger.store,
            self.ledger.organization.id,
            run.id,
            decisions={row["id"]: True for row in chosen},
            by="alice@example.com",
            anew=True,
            now=self.now,
        )

    @rule(one=st.sampled_from(PEOPLE[:2]), other=st.sampled_from(("bob@example.com", "charlie@example.com")))
    def merge_people(self, one: str, other: str) -> None:
        with self.ledger.store.write() as tx:
            both = identities_of(login=one, email=other)
            person_ids(tx, self.ledger.organization.id, [both], self.now)

    @rule(model=st.sampled_from(("gpt-4o", "gpt-4o-mini", "no-such-model-9")), picos=st.integers(0, 3_000_000))
    def reprice(self, model: str, picos: int) -> None:
        """A price changes, then all runs get it; runs that are told of again meanwhile are priced by it too."""
        with self.ledger.store.write() as tx:
            row = {
                "organization_id": self.ledger.organization.id,
                "provider": "openai",
                "model": model,
                "effective_from": NOW - timedelta(days=20),
                "alias_of": None,
                "picos": {"input_uncached": picos, "output_text": 2 * picos},
                "created_at": self.now,
            }
            put(tx, t.price_overrides, [row], key=("organization_id", "provider", "model", "effective_from"))
        for left in (True, False):
            done = reprice(self.ledger.store, self.ledger.organization.id, Selection(), apply=True, now=self.now)
            assert left or not done.total.runs

    @rule(environment=st.sampled_from(("production", "development")), key=st.integers(0, 3), code=st.booleans())
    def reclassify(self, environment: str, key: int, code: bool) -> None:
        where = Selection(environment=environment, api_key_id=self.keys_to_use[key].id)
        reclassify(self.ledger.store, self.ledger.organization.id, where, code=code, now=self.now)

    @rule(
        data=st.data(),
        table=st.sampled_from(
            (t.rollup_15m, t.rollup_day, t.rollup_dimension, t.rollup_links, t.rollup_spend, t.rollup_runs)
        ),
    )
    def spoil_and_repair(self, data: st.DataObject, table: Any) -> None:
        row = data.draw(st.sampled_from(self.ledger.rows(table)))
        with self.ledger.store.write() as tx:
            here = [column == row[column.name] for column in table.primary_key.columns]
            tx.execute(table.update().where(*here).values(runs=row["runs"] + 1))
        moment = row.get("bucket")
        day = row["day"] if moment is None else local_day(moment, self.ledger.organization.timezone)
        found = check(self.ledger.store, self.ledger.organization.id, days=[day], repair=True, now=self.now)
        assert (found.differing, found.repaired, found.left) == (1, 1, 0)

    @invariant()
    def sums_hold(self) -> None:
        check_sums(self.ledger)
        check_buckets(self.ledger)

    @invariant()
    def one_run_a_key(self) -> None:
        runs_now = {row["id"]: row for row in self.ledger.rows(t.runs)}
        keys = [row for row in self.ledger.rows(t.run_keys) if row["kind"] == "request"]
        assert all(row["run_id"] in runs_now for row in keys)
        by_request = [row["request_id"] for row in runs_now.values() if row["request_id"]]
        assert len(by_request) == len(set(by_request)) == len(keys)

    @invariant()
    def every_name_is_known(self) -> None:
        people = {row["id"] for row in self.ledger.rows(t.people)} | {None}
        for table in (t.runs, t.commits, t.pull_requests, t.identities, t.members):
            assert {row["person_id"] for row in self.ledger.rows(table)} <= people, table.name
        assert {row["person_id"] for row in self.ledger.rows(t.rollup_day) if row["runs"]} <= {*people, 0}

    def teardown(self) -> None:
        """However the work ended, one round links everything, and the next one has nothing left to do."""
        organization = self.ledger.organization.id
        repositories = [row["id"] for row in self.ledger.rows(t.repositories)]
        for repository in (0, *repositories):
            link_repository(self.ledger.store, organization, repository, now=self.now, full=True)
        assert not [row for row in self.ledger.rows(t.runs) if row["linked_at"] is None]
        self.sums_hold()
        before = self.ledger.dump()
        for repository in (*repositories, 0):
            done = link_repository(self.ledger.store, organization, repository, now=self.now, full=True)
            assert done.changed == 0
        assert self.ledger.dump() == before
        self.stack.close()


class PostgresLedgerMachine(LedgerMachine):
    engine = "postgresql"


LedgerMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=14,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
PostgresLedgerMachine.TestCase.settings = settings(LedgerMachine.TestCase.settings, max_examples=15)
TestLedger = LedgerMachine.TestCase
TestPostgresLedger = PostgresLedgerMachine.TestCase
