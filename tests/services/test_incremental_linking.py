"""Passes that look at what changed end where a look at everything ends, whatever happened in whatever order."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from costlens.domain.github import CommitRecord, PullRecord, RepositoryRecord
from costlens.domain.names import Identity, identities_of
from costlens.domain.runs import RunInput
from costlens.services import people
from costlens.services.linking import decide_links, link_repository, waiting
from costlens.services.reclassify import reclassify
from costlens.services.sync import import_records
from costlens.store import tables as t
from costlens.store.identity import person_ids
from costlens.store.run_changes import Selection
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_sums, open_ledger
from tests.services.some_rules import apply_some_rules
from tests.services.whole_repository import expected_links, stored_links

HOUR = timedelta(hours=1)
# Few names, most of them one: so the facts of an example meet.
REPOSITORIES = (*["acme/web"] * 7, "acme/api")
WHO = ("alice", "alice", "bob")
ACTORS = (*WHO, "alice", "bob@example.com", "carol", None)
BRANCHES = ("main", "main", "feature/1", "feature/1", "feature/2", "spike", None)
SHAS = [f"{n}" * 40 for n in range(1, 9)]
SESSIONS = ("s1", "s2", None)
FILES = st.lists(st.sampled_from(("a.py", "b.py", "c.py")), max_size=2).map(tuple)
# Close to each other, and both sides of the rules' windows: hours, a day, a week, a month.
AGES = st.one_of(
    st.integers(0, 12).map(lambda n: n * HOUR / 2),
    st.integers(0, 12).map(lambda n: n * HOUR / 2),
    st.sampled_from((12, 23, 25, 30, 49, 24 * 6, 24 * 8, 24 * 29, 24 * 31)).map(lambda n: n * HOUR),
)
TRAILERS = (
    *[""] * 6,
    "CostLens-Session: s1",
    "CostLens-Session: s2",
    "CostLens-Run: r1, c2",
    *["CostLens-Prompt: p1"] * 4,
    *["Co-authored-by: Bob <bob@example.com>"] * 2,
)

runs = st.builds(
    lambda age, minutes, **values: a_run(occurred_at=NOW - age - timedelta(minutes=minutes), **values),
    age=AGES,
    minutes=st.integers(0, 50),
    request_id=st.sampled_from((*[None] * 6, *(f"r{n}" for n in range(6)))),
    correlation_id=st.sampled_from((*[None] * 6, "c1", "c2")),
    source=st.sampled_from(("api", "sdk", "otlp")),
    actor=st.sampled_from(ACTORS),
    repository=st.sampled_from((*REPOSITORIES, None)),
    branch=st.sampled_from(BRANCHES),
    session_id=st.sampled_from(SESSIONS),
    commit_sha=st.sampled_from((*[None] * 6, *SHAS[:4])),
    commit_role=st.sampled_from((None, "result", "head_before", "head_before")),
    pr_number=st.sampled_from((*[None] * 12, 1, 2, 9)),
    prompt_id=st.sampled_from((None, "p1", "p1", "p2")),
    files=FILES,
)


def body(trailer: str, title: str = "Change") -> str:
    return f"{title}\n\n{trailer}" if trailer else title


@st.composite
def commits(draw: st.DrawFn, sha: str) -> CommitRecord:
    """A sha has one content, of which a source may tell a part."""
    at = NOW - draw(AGES)
    return replace(
        a_commit(sha, at, who=draw(st.sampled_from(WHO))),
        message=body(draw(st.sampled_from(TRAILERS)), draw(st.sampled_from((*["Change"] * 3, "Change (#1)")))),
        attested=draw(st.sampled_from((*[()] * 5, ("s1",)))),
        committed_at=at + draw(st.sampled_from((0, 0, 3))) * HOUR,
        files=draw(FILES),
        branches=tuple(draw(st.sets(st.sampled_from(("main", "feature/1", "spike")), max_size=1))),
    )


class IncrementalMachine(RuleBasedStateMachine):
    """Runs, facts, decisions and time come in at random; passes happen at random; the links must be those of a look
    at everything.
    """

    engine = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.ledger: Ledger = self.stack.enter_context(open_ledger(engine=self.engine))
        self.now = NOW

    @initialize(data=st.data())
    def a_start(self, data: st.DataObject) -> None:
        """Facts that were linked once: from then on changes are marked."""
        self.commits = {sha: data.draw(commits(sha)) for sha in SHAS}
        records: list[Any] = [RepositoryRecord(name, n, "main") for n, name in enumerate(sorted({*REPOSITORIES}), 1)]
        records += [data.draw(self.pulls()) for _ in range(data.draw(st.integers(1, 3)))]
        self.load(records)
        self.ingest(data.draw(st.lists(runs, min_size=6, max_size=12)))
        self.settle()

    def pulls(self) -> st.SearchStrategy[PullRecord]:
        def make(number: int, shas: list[str], ended: Any, merged: bool, **values: Any) -> PullRecord:
            end = None if ended is None else NOW - ended
            held = [self.commits[sha] for sha in shas]
            times = {"merged_at": end if merged else None, "closed_at": end}
            return replace(a_pull(number, *held), **times, **values)

        return st.builds(
            make,
            number=st.integers(1, 4),
            shas=st.lists(st.sampled_from(SHAS), max_size=3, unique=True),
            ended=st.none() | AGES,
            merged=st.booleans(),
            head_ref=st.sampled_from(BRANCHES[2:]),
            body=st.sampled_from((None, *map(body, TRAILERS))),
            merge_commit_sha=st.none() | st.sampled_from(SHAS),
            created_at=AGES.map(lambda age: NOW - age),
            repository=st.sampled_from(REPOSITORIES),
        )

    def load(self, records: list[Any]) -> None:
        # A commit of a pull request is the repository's that the pull request is in.
        records = [
            replace(one, commits=tuple(replace(commit, repository=one.repository) for commit in one.commits))
            if isinstance(one, PullRecord)
            else one
            for one in records
        ]
        import_records(self.ledger.store, self.ledger.organization.id, records, now=self.now)

    @rule(batch=st.lists(runs, min_size=1, max_size=6))
    def ingest(self, batch: list[RunInput]) -> None:
        """New runs, and what another source says of runs that are there: it may move them."""
        self.ledger.send(*batch, now=self.now)

    @rule(data=st.data())
    def a_pull_changes(self, data: st.DataObject) -> None:
        self.load([data.draw(self.pulls())])

    @rule(data=st.data(), sha=st.sampled_from(SHAS), name=st.sampled_from(REPOSITORIES), known=st.booleans())
    def a_commit_comes(self, data: st.DataObject, sha: str, name: str, known: bool) -> None:
        commit = replace(self.commits[sha], repository=name)
        self.load([commit if known else replace(commit, author=(), files=(), branches=())])

    @rule(one=st.sampled_from(WHO), other=st.sampled_from(("bob@example.com", "carol@example.com")))
    def two_people_are_one(self, one: str, other: str) -> None:
        both = identities_of(login=one, email=other)
        with self.ledger.store.write() as tx:
            person_ids(tx, self.ledger.organization.id, [both], self.now)

    @precondition(lambda self: self.ledger.rows(t.identities))
    @rule(data=st.data())
    def a_person_is_taken_apart(self, data: st.DataObject) -> None:
        of: dict[int, list[Identity]] = {}
        for row in self.ledger.rows(t.identities):
            of.setdefault(row["person_id"], []).append(Identity(row["kind"], row["value"]))
        person = data.draw(st.sampled_from(sorted(of)))
        chosen = data.draw(st.lists(st.sampled_from(of[person]), min_size=1, unique=True))
        if len(chosen) < len(of[person]):
            people.split(self.ledger.store, self.ledger.organization.id, "alice", person, chosen, now=self.now)

    @precondition(lambda self: len(self.ledger.rows(t.people)) > 1)
    @rule(data=st.data(), same=st.booleans())
    def an_owner_says_who_is_the_same(self, data: st.DataObject, same: bool) -> None:
        ids = [row["id"] for row in self.ledger.rows(t.people)]
        first, second = data.draw(st.lists(st.sampled_from(ids), min_size=2, max_size=2, unique=True))
        say = people.merge if same else people.dismiss
        say(self.ledger.store, self.ledger.organization.id, "alice", first, second, now=self.now)

    @precondition(lambda self: self.ledger.rows(t.pull_requests) and self.ledger.rows(t.runs))
    @rule(data=st.data(), confirmed=st.booleans())
    def a_person_decides(self, data: st.DataObject, confirmed: bool) -> None:
        pull = data.draw(st.sampled_from(self.ledger.rows(t.pull_requests)))
        run = data.draw(st.sampled_from(self.ledger.rows(t.runs)))
        if run["repository_id"] in (None, pull["repository_id"]):
            decide_links(
                self.ledger.store,
                self.ledger.organization.id,
                run["id"],
                repository_id=pull["repository_id"],
                decisions={pull["id"]: confirmed},
                by="alice@example.com",
                now=self.now,
            )

    @rule(data=st.data())
    def the_rules_change(self, data: st.DataObject) -> None:
        apply_some_rules(self.ledger, data, self.now)

    @rule(prompt=st.sampled_from(("p1", "p2")), code=st.booleans())
    def runs_are_code_or_not(self, prompt: str, code: bool) -> None:
        reclassify(self.ledger.store, self.ledger.organization.id, Selection(prompt_id=prompt), code=code, now=self.now)

    @rule(days=st.sampled_from((1, 8, 30)))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule(data=st.data())
    def a_pass(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from([0, *(row["id"] for row in self.ledger.rows(t.repositories))]))
        link_repository(self.ledger.store, self.ledger.organization.id, place, now=self.now)

    @rule()
    def settle(self) -> None:
        """Passes until nothing waits: then the links are those of a look at everything, and a full pass agrees."""
        places = [0, *(row["id"] for row in self.ledger.rows(t.repositories))]
        organization = self.ledger.organization.id
        for _ in range(5):
            for place in places:
                link_repository(self.ledger.store, organization, place, now=self.now)
            if not waiting(self.ledger.store, now=self.now + HOUR):
                break
        assert waiting(self.ledger.store, now=self.now + HOUR) == []
        stored = stored_links(self.ledger)
        assert stored == expected_links(self.ledger, self.now)
        for _, _, links in stored.values():
            for link in links:
                event(f"rule {link[3]}")
        check_sums(self.ledger)

    def teardown(self) -> None:
        if hasattr(self, "commits"):
            self.settle()
            before = self.ledger.dump()
            for place in (0, *(row["id"] for row in self.ledger.rows(t.repositories))):
                done = link_repository(self.ledger.store, self.ledger.organization.id, place, now=self.now, full=True)
                assert (done.changed, done.elsewhere) == (0, frozenset())
            after = self.ledger.dump()
            assert after == before
        self.stack.close()


class PostgresIncrementalMachine(IncrementalMachine):
    engine = "postgresql"


IncrementalMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
PostgresIncrementalMachine.TestCase.settings = settings(IncrementalMachine.TestCase.settings, max_examples=10)
TestIncremental = IncrementalMachine.TestCase
TestPostgresIncremental = PostgresIncrementalMachine.TestCase


def test_runs_that_are_not_code_leave_their_sessions(engine: str) -> None:
    """What is linked by a neighbour is looked at again when that turns out not to be code, and when it does again."""
    with open_ledger(engine=engine) as ledger:
        load = [a_pull(1, a_commit(SHAS[0], NOW))]
        import_records(ledger.store, ledger.organization.id, load, now=NOW)
        shared = {"repository": "acme/web", "session_id": "s1"}
        ledger.send(a_run(branch="feature/1", actor="alice", prompt_id="p1", **shared))
        mate = ledger.send_one(a_run(branch="main", actor="bob", **shared))
        repository, rules = ledger.repository("acme/web"), []
        for code in (True, False, True):
            reclassify(ledger.store, ledger.organization.id, Selection(prompt_id="p1"), code=code, now=NOW)
            link_repository(ledger.store, ledger.organization.id, repository, now=NOW)
            assert stored_links(ledger) == expected_links(ledger, NOW)
            links = stored_links(ledger)[mate.id][2]
            rules.append([link[3] for link in links])
        assert rules == [["C1"], [], ["C1"]]
        check_sums(ledger)
