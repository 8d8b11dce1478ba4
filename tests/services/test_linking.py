"""Linking passes over a real database: what they look at, what they write, and what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costlens.domain.errors import Conflict, NotFound
from costlens.domain.github import PersonRecord, PullRecord, RepositoryRecord
from costlens.domain.names import identities_of
from costlens.services import link_group, linking
from costlens.services.ingest import Accepted
from costlens.services.linking import decide_links, link_repository, overdue, waiting
from costlens.services.sync import import_records
from costlens.store import tables as t
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_buckets, check_sums, open_ledger

LATER = NOW + timedelta(hours=1)
COMMIT = a_commit("a" * 40, NOW)


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def load(ledger: Ledger, *records: Any) -> set[int]:
    """Imports records; answers the repositories that they changed."""
    return import_records(ledger.store, ledger.organization.id, records, now=NOW).changed


def link(ledger: Ledger, name: str | None = "acme/web", **values: Any) -> linking.Pass:
    repository = ledger.repository(name) if name else 0
    return link_repository(ledger.store, ledger.organization.id, repository, **({"now": LATER} | values))


def now_linked(ledger: Ledger) -> dict[int, list[tuple[int | None, str, str]]]:
    """(pull request number, rule, state) of the links that hold now, by run."""
    numbers = {row["id"]: row["number"] for row in ledger.rows(t.pull_requests)}
    found: dict[int, list[tuple[int | None, str, str]]] = {}
    for row in ledger.rows(t.links):
        if row["valid_to"] is None:
            entry = (numbers.get(row["pull_request_id"]), row["rule"], row["state"])
            found.setdefault(row["run_id"], []).append(entry)
    return found


def decide(ledger: Ledger, run_id: int, number: int, *, confirmed: bool, name: str = "acme/web") -> None:
    repository = ledger.repository(name)
    pull = next(
        row["id"]
        for row in ledger.rows(t.pull_requests)
        if (row["repository_id"], row["number"]) == (repository, number)
    )
    decide_links(
        ledger.store,
        ledger.organization.id,
        run_id,
        repository_id=repository,
        decisions={pull: confirmed},
        by="alice@example.com",
        now=LATER,
    )


def test_a_run_is_linked_by_its_branch(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    run = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    assert link(ledger).changed == 1
    row = ledger.row(run.id)
    assert (row.link_state, row.counted_nanos, row.linked_at) == ("counted", run.cost_nanos, LATER)
    assert now_linked(ledger) == {run.id: [(1, "B1", "counted")]}


def test_a_run_is_linked_by_a_trailer_with_its_prompt(ledger: Ledger) -> None:
    message = "Review\n\nCostLens-Prompt: review-v2"
    load(ledger, a_pull(1, a_commit("a" * 40, NOW, message=message)))
    run, other = ledger.send(
        a_run(repository="acme/web", actor="alice", prompt_id="review-v2"),
        a_run(repository="acme/web", actor="bob", prompt_id="review-v2"),
    )
    link(ledger)
    assert isinstance(run, Accepted)
    assert isinstance(other, Accepted)
    assert now_linked(ledger) == {run.run["id"]: [(1, "P1", "counted")]}


def test_a_second_pass_writes_nothing(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT), a_pull(2, a_commit("b" * 40, NOW, files=("a.py", "b.py"))))
    ledger.send(
        a_run(repository="acme/web", branch="feature/1", actor="alice"),
        a_run(repository="acme/web", branch="feature/2", actor="bob"),
        a_run(repository="acme/web", branch="main", actor="alice", files=("b.py",)),
        a_run(repository="acme/web", actor="alice"),
        a_run(repository="acme/web", pr_number=2),
        a_run(),
        a_run(environment="production", repository="acme/web", branch="feature/1"),
    )
    link(ledger)
    link(ledger, None)
    before = ledger.dump()
    for full in (False, True):
        for name in ("acme/web", None):
            assert link(ledger, name, full=full, now=LATER + timedelta(hours=1)).changed == 0
    assert ledger.dump() == before


def test_an_incremental_pass_looks_at_waiting_runs_and_their_sessions(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    early = ledger.send_one(a_run(repository="acme/web", branch="main", session_id="s1", actor="alice"))
    other = ledger.send_one(a_run(repository="acme/web", branch="main", session_id="s2", actor="alice"))
    alone = ledger.send_one(a_run(repository="acme/web", branch="main", actor="alice"))
    assert link(ledger).runs == 3
    assert link(ledger).runs == 0
    ledger.send_one(a_run(repository="acme/web", branch="feature/1", session_id="s1", actor="alice"))
    assert link(ledger).runs == 2
    assert now_linked(ledger)[early.id] == [(1, "C1", "counted")]
    for untouched in (other, alone):
        assert ledger.row(untouched.id).linked_at == LATER


def test_new_facts_make_the_next_pass_a_full_one(ledger: Ledger) -> None:
    run = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    link(ledger)
    assert ledger.row(run.id).link_state == "pending"
    assert link(ledger).runs == 0
    assert load(ledger, a_pull(1, COMMIT)) == {ledger.repository("acme/web")}
    assert waiting(ledger.store, now=LATER) == [(ledger.organization.id, ledger.repository("acme/web"))]
    assert link(ledger).runs == 1
    assert ledger.row(run.id).link_state == "counted"
    assert waiting(ledger.store, now=LATER) == []


def test_superseded_links_stay_with_their_end(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    run = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice", request_id="r1"))
    link(ledger)
    load(ledger, a_pull(2, body="CostLens-Run: r1"))
    link(ledger, now=LATER + timedelta(hours=1))
    first, second = ledger.rows(t.links)
    ended = LATER + timedelta(hours=1)
    assert (first["rule"], first["valid_from"], first["valid_to"], first["closed_reason"]) == (
        "B1", LATER, ended, "superseded",
    )  # fmt: skip
    assert (second["rule"], second["valid_from"], second["valid_to"]) == ("X1", ended, None)
    assert ledger.row(run.id).counted_nanos == run.cost_nanos == second["cost_nanos"]


def test_decisions_survive_new_facts_and_new_passes(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT), a_pull(2))
    confirmed = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    rejected = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    link(ledger)
    decide(ledger, confirmed.id, 2, confirmed=True)
    decide(ledger, rejected.id, 1, confirmed=False)
    expected = {confirmed.id: [(2, "M1", "counted")], rejected.id: [(1, "B1", "unlinked")]}
    assert now_linked(ledger) == expected
    load(ledger, a_pull(1, replace(COMMIT, files=("a.py",))), a_pull(3, body="CostLens-Session: s9"))
    link(ledger)
    link(ledger, full=True)
    assert now_linked(ledger) == expected
    assert (ledger.row(rejected.id).link_state, ledger.row(rejected.id).unlinked_reason) == ("unlinked", "rejected")
    assert [row["action"] for row in ledger.rows(t.audit_entries)][-2:] == ["link.confirmed", "link.rejected"]


def test_deciding_about_an_unknown_run(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    with pytest.raises(NotFound):
        decide(ledger, 77, 1, confirmed=True)


def test_the_sweeper_finds_what_no_job_has_linked(ledger: Ledger) -> None:
    ledger.send(a_run(repository="acme/web"), a_run(), a_run(environment="production", repository="acme/ops"))
    organization = ledger.organization.id
    assert waiting(ledger.store, now=NOW + timedelta(seconds=5)) == []
    found = waiting(ledger.store, now=NOW + timedelta(minutes=1))
    assert found == [(organization, 0), (organization, ledger.repository("acme/web"))]
    for _, repository in found:
        link_repository(ledger.store, organization, repository, now=LATER)
    assert waiting(ledger.store, now=LATER) == []


def test_pending_runs_grow_old(ledger: Ledger) -> None:
    known = ledger.send_one(a_run(repository="acme/web", actor="alice"))
    shared = ledger.send_one(a_run(repository="acme/web"))
    link(ledger)
    before = known.occurred_at + timedelta(days=30)
    assert overdue(ledger.store, now=before) == []
    after = before + timedelta(seconds=1)
    assert overdue(ledger.store, now=after) == [(ledger.organization.id, ledger.repository("acme/web"))]
    link(ledger, now=after, full=True)
    assert [ledger.row(run.id).unlinked_reason for run in (known, shared)] == ["no_candidate", "no_person"]
    assert overdue(ledger.store, now=after) == []
    load(ledger, a_pull(1, COMMIT, head_ref="late"))
    ledger.send_one(a_run(repository="acme/web", pr_number=1))
    link(ledger, now=after)
    assert ledger.row(known.id).link_state == "suggested"


@pytest.mark.parametrize(
    "named",
    [{"request_id": "r1"}, {"correlation_id": "r1"}, {"session_id": "s1"}],
    ids=["request", "correlation", "session"],
)
@pytest.mark.parametrize("run_first", [True, False])
def test_a_trailer_finds_a_run_of_no_repository(ledger: Ledger, named: dict[str, str], run_first: bool) -> None:
    message = "Change\n\nCostLens-Run: r1\nCostLens-Session: s1"
    pull = a_pull(1, replace(COMMIT, message=message))
    if not run_first:
        load(ledger, pull)
        link(ledger)
    run = ledger.send_one(a_run(**named))
    if run_first:
        link(ledger, None)
        assert ledger.row(run.id).unlinked_reason == "no_repo"
        load(ledger, pull)
    settle(ledger)
    assert ledger.row(run.id).link_state == "counted"
    before = ledger.dump()
    for name in ("acme/web", None, "acme/web"):
        assert link(ledger, name, full=True).changed == 0
    assert ledger.dump() == before


def settle(ledger: Ledger) -> None:
    """What sweeper and jobs do together, until nothing waits."""
    for _ in range(5):
        due = {repository for _, repository in waiting(ledger.store, now=LATER)}
        while due:
            done = link_repository(ledger.store, ledger.organization.id, due.pop(), now=LATER)
            due |= done.elsewhere
        if not waiting(ledger.store, now=LATER):
            return
    raise AssertionError("runs wait for ever")


def test_a_session_over_two_repositories_stays_where_it_was_put(ledger: Ledger) -> None:
    message = "Change\n\nCostLens-Session: s1"
    load(
        ledger,
        a_pull(1, a_commit("a" * 40, NOW - timedelta(hours=2), message=message)),
        a_pull(5, a_commit("b" * 40, NOW, message=message, repository="acme/api"), repository="acme/api"),
    )
    early, late = (
        ledger.send_one(a_run(session_id="s1", occurred_at=NOW - timedelta(hours=hours))) for hours in (3, 1)
    )
    settle(ledger)
    assert now_linked(ledger) == {early.id: [(1, "S1", "counted")], late.id: [(5, "S1", "counted")]}
    before = ledger.dump()
    for name in ("acme/web", "acme/api", None, "acme/web"):
        assert link(ledger, name, full=True).changed == 0
    assert ledger.dump() == before


def test_a_person_may_put_a_run_of_no_repository_anywhere(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    run = ledger.send_one(a_run(session_id="s1"))
    link(ledger, None)
    decide(ledger, run.id, 1, confirmed=True)
    assert now_linked(ledger) == {run.id: [(1, "M1", "counted")]}
    assert link(ledger, None, full=True).changed == 0


@contextmanager
def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Any) -> Iterator[None]:
    """Does `work` once, between what a pass reads and what it writes."""
    pure = link_group.link_runs
    with monkeypatch.context() as patch:

        def slow(*args: Any) -> Any:
            answers = pure(*args)
            patch.setattr(link_group, "link_runs", pure)
            work()
            return answers

        patch.setattr(link_group, "link_runs", slow)
        yield


def test_what_comes_in_during_a_pass_waits_for_the_next(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    load(ledger, a_pull(1, COMMIT), a_pull(2))
    ledger.send(
        a_run(repository="acme/web", branch="feature/1", actor="alice", request_id="r1"), a_run(repository="acme/web")
    )
    run = ledger.rows(t.runs)[0]["id"]
    with meanwhile(
        monkeypatch,
        lambda: ledger.send(
            a_run(repository="acme/web", request_id="r1", pr_number=2, source="otlp", model="gpt-4o-mini")
        ),
    ):
        link(ledger)
    assert ledger.row(run).linked_at is None
    check_sums(ledger)
    link(ledger)
    assert now_linked(ledger)[run] == [(2, "X2", "counted")]


def test_a_run_that_moves_during_a_pass_is_left_to_its_new_repository(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(ledger, a_pull(1, COMMIT))
    run = ledger.send_one(a_run(repository="acme/web", pr_number=1, request_id="r1"))
    said = a_run(repository="acme/api", request_id="r1", pr_number=1, source="otlp")
    with meanwhile(monkeypatch, lambda: ledger.send(said)):
        link(ledger)
    assert now_linked(ledger) == {}
    assert ledger.row(run.id).linked_at is None
    link(ledger, "acme/api")
    assert ledger.row(run.id).link_state == "pending"


def test_a_decision_during_a_pass_is_not_undone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    load(ledger, a_pull(1, COMMIT), a_pull(2))
    run = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    with meanwhile(monkeypatch, lambda: decide(ledger, run.id, 2, confirmed=True)):
        link(ledger)
    assert now_linked(ledger) == {run.id: [(2, "M1", "counted")]}


def test_a_moved_run_leaves_its_old_link(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT))
    run = ledger.send_one(a_run(repository="acme/web", pr_number=1, request_id="r1"))
    link(ledger)
    ledger.send(a_run(repository="acme/api", request_id="r1", source="otlp"))
    check_sums(ledger)
    settle(ledger)
    assert (now_linked(ledger), ledger.row(run.id).link_state) == ({}, "pending")


def test_two_identities_of_one_person_are_joined_everywhere(ledger: Ledger) -> None:
    load(ledger, a_pull(1, replace(COMMIT, author=identities_of(email="al@example.com"))))
    by_login = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="al"))
    link(ledger)
    assert ledger.row(by_login.id).link_state == "unlinked"  # B2: the branch of another person
    load(ledger, PersonRecord(identities_of(login="al", email="al@example.com"), "Al"))
    settle(ledger)
    assert ledger.row(by_login.id).link_state == "counted"
    person = {row["id"]: row["name"] for row in ledger.rows(t.people)}
    assert set(person.values()) == {"Al"}
    for table in (t.runs, t.commits, t.identities):
        assert {row["person_id"] for row in ledger.rows(table)} <= person.keys()


def test_a_name_survives_the_merge_of_people(ledger: Ledger) -> None:
    ledger.send(a_run(actor="al"))
    load(ledger, PersonRecord(identities_of(email="al@example.com"), "Al"))
    ledger.send(a_run(actor="9+al@users.noreply.github.com"))
    load(ledger, PersonRecord(identities_of(login="al", email="al@example.com")))
    assert [row["name"] for row in ledger.rows(t.people)] == ["Al"]


def test_the_same_facts_again_change_nothing(ledger: Ledger) -> None:
    shared = a_commit("c" * 40, NOW, files=("a.py", "b.py"), message="Change\n\nlonger", branches=("feature/1",))
    same = replace(shared, files=("a.py",), message="Change", branches=("feature/2",), author=())
    records: list[Any] = [
        RepositoryRecord("acme/web", 5, "main"),
        a_pull(1, COMMIT, shared),
        a_pull(2, same),
        a_pull(3, replace(same, repository="Acme/Web"), repository="Acme/Web"),
        replace(same, committed_at=NOW + timedelta(minutes=1)),
        a_pull(4, body="Reverts #1", merged_at=NOW, closed_at=NOW),
        *(a_pull(number) for number in range(100, 300)),  # the next page
        same,
        a_pull(5, shared),
    ]
    assert load(ledger, *records) == {ledger.repository("acme/web")}
    before = ledger.dump()
    assert load(ledger, *records) == set()
    assert ledger.dump() == before
    commit = next(row for row in ledger.rows(t.commits) if row["sha"] == shared.sha)
    assert commit["branches"] == ["feature/1", "feature/2"]
    assert (commit["files"], commit["message"]) == (["a.py", "b.py"], "Change\n\nlonger")
    assert commit["person_id"] is not None


def test_a_renamed_repository_keeps_its_runs(ledger: Ledger) -> None:
    load(ledger, RepositoryRecord("acme/old", 5, "main"), replace(a_pull(1, COMMIT), repository="acme/old"))
    early = ledger.send_one(a_run(repository="acme/old", pr_number=1))
    late = ledger.send_one(a_run(repository="acme/web", pr_number=1))  # before GitHub told of the new name
    settle(ledger)
    assert ledger.row(late.id).link_state == "pending"
    records = [RepositoryRecord("acme/web", 5, "main"), a_pull(1, COMMIT)]
    load(ledger, *records)
    settle(ledger)
    assert [row["name"] for row in ledger.rows(t.repositories)] == ["acme/web"]
    assert ledger.repository("acme/old") == ledger.repository("acme/web")
    assert now_linked(ledger) == {run.id: [(1, "X2", "counted")] for run in (early, late)}
    assert load(ledger, *records) == set()


def test_one_name_for_two_repositories_of_github_is_refused(ledger: Ledger) -> None:
    load(ledger, RepositoryRecord("acme/old", 5, "main"), RepositoryRecord("acme/web", 6, "main"))
    before = ledger.dump()
    with pytest.raises(Conflict):
        load(ledger, RepositoryRecord("acme/web", 5, "main"))
    assert ledger.dump() == before


def test_an_import_that_is_cut_off_is_linked_all_the_same(ledger: Ledger) -> None:
    run = ledger.send_one(a_run(repository="acme/web", branch="feature/1", actor="alice"))
    link(ledger)
    pulls = [a_pull(1, COMMIT), *(a_pull(number) for number in range(2, 201))]

    def cut_off() -> Iterator[PullRecord]:
        yield from pulls
        raise ConnectionError

    with pytest.raises(ConnectionError):
        import_records(ledger.store, ledger.organization.id, cut_off(), now=NOW)
    load(ledger, *pulls)
    settle(ledger)
    assert ledger.row(run.id).link_state == "counted"


def test_a_reverted_pull_request_keeps_its_cost(ledger: Ledger) -> None:
    load(ledger, a_pull(1, COMMIT, merged_at=NOW, closed_at=NOW))
    run = ledger.send_one(a_run(repository="acme/web", pr_number=1))
    link(ledger)
    load(ledger, a_pull(2, body="Reverts acme/web#1", merged_at=LATER, closed_at=LATER))
    link(ledger)
    assert ledger.row(run.id).counted_nanos == run.cost_nanos
    outcomes = {row["number"]: (row["outcome"], row["reverted_at"]) for row in ledger.rows(t.pull_requests)}
    assert outcomes == {1: ("reverted", LATER), 2: ("merged", None)}
