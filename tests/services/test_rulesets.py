"""Rulesets of an organization: compared with the links that hold, applied, and tested on what is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costlens.domain.access import Member
from costlens.domain.calibration import Tally
from costlens.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from costlens.services import linking, rulesets
from costlens.services.linking import link_repository
from costlens.services.rulesets import Move
from costlens.services.sync import import_records
from costlens.store import tables as t
from tests.services.ledger import NOW, Ledger, a_commit, a_pull, a_run, check_buckets, check_sums, open_ledger
from workers import linking as jobs

HOUR = timedelta(hours=1)
COST = 3_500_000


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


@pytest.fixture
def owner(ledger: Ledger) -> Member:
    row = ledger.rows(t.members)[0]
    return Member(ledger.organization.id, row["id"], row["user_id"], "alice@example.com", "owner")


def link(ledger: Ledger, **values: Any) -> int:
    repository = ledger.repository("acme/web")
    return link_repository(ledger.store, ledger.organization.id, repository, now=NOW + HOUR, **values).changed


def a_world(ledger: Ledger) -> dict[str, int]:
    """A run by each of B1, C1, T1 and T2, and one that names its pull request; ids by rule."""
    pulls = [
        a_pull(1, a_commit("1" * 40, NOW)),
        a_pull(2, a_commit("2" * 40, NOW, who="bob", files=("b.py",))),
        a_pull(3, a_commit("3" * 40, NOW, who="carol", files=("c.py",))),
    ]
    import_records(ledger.store, ledger.organization.id, pulls, now=NOW)
    runs = {
        "B1": {"actor": "alice", "branch": "feature/1", "session_id": "s1"},
        "C1": {"actor": "alice", "branch": "main", "session_id": "s1"},
        "T1": {"actor": "bob", "branch": "main", "files": ("b.py",)},
        "T2": {"actor": "carol", "branch": "spike", "files": ("c.py",)},
        "X2": {"actor": "dave", "branch": "main", "pr_number": 3},
    }
    ids = {rule: ledger.send_one(a_run(repository="acme/web", **values)).id for rule, values in runs.items()}
    link(ledger)
    return ids


def states(ledger: Ledger, ids: dict[str, int]) -> dict[str, tuple[str, str | None]]:
    """State of each run with the rule of its link."""
    rules = {row["run_id"]: row["rule"] for row in ledger.rows(t.links) if row["valid_to"] is None}
    return {rule: (ledger.row(run).link_state, rules.get(run)) for rule, run in ids.items()}


def compared(ledger: Ledger, owner: Member, threshold: int = 800, **stances: str) -> int:
    made = rulesets.propose(ledger.store, owner, threshold, stances, now=NOW)
    told: list[tuple[int, int]] = []
    assert rulesets.waiting(ledger.store) == [(ledger.organization.id, made)]
    assert rulesets.compare(ledger.store, ledger.organization.id, made, now=NOW, progress=lambda *at: told.append(at))
    assert told == [(5, 5)]
    assert rulesets.waiting(ledger.store) == []
    return made


def difference(ledger: Ledger) -> list[tuple[str, str, int, int]]:
    found = rulesets.difference_lines(rulesets.linking_of(ledger.store, ledger.organization.id).draft)
    assert found is not None
    assert {move.repository for move in found} <= {"acme/web"}
    return [(move.before, move.after, move.runs, move.cost_nanos) for move in found]


def test_a_ruleset_is_compared_then_applied_then_taken_back(ledger: Ledger, owner: Member) -> None:
    ids = a_world(ledger)
    first = states(ledger, ids)
    assert first == {
        rule: ("counted" if rule != "T2" else "suggested", rule) for rule in ("B1", "C1", "T1", "T2", "X2")
    }
    before = ledger.dump()
    made = compared(ledger, owner, B1="suggested", T1="off", T2="counted")
    # C1 has nothing to lean on once B1 only suggests; T1 is off, and T2 says the same of that run.
    assert difference(ledger) == [
        ("counted", "suggested", 2, 2 * COST),
        ("suggested", "counted", 1, COST),
    ]
    after = ledger.dump()
    assert before | {"link_rulesets": []} == after | {"link_rulesets": []}  # nothing moves by itself

    assert rulesets.apply(ledger.store, owner, made, now=NOW) == [ledger.repository("acme/web")]
    anew = rulesets.linking_of(ledger.store, ledger.organization.id).relinking
    assert (anew.left, anew.repositories, anew.runs_done, anew.runs) == (1, 1, 0, 5)
    linking.tell_progress(ledger.store, ledger.organization.id, ledger.repository("acme/web"), 2)
    assert rulesets.linking_of(ledger.store, ledger.organization.id).relinking.runs_done == 2
    assert link(ledger) == 4
    assert link(ledger, full=True) == 0
    assert states(ledger, ids) == {
        "B1": ("suggested", "B1"),
        "C1": ("suggested", "T3"),
        "T1": ("counted", "T2"),
        "T2": ("counted", "T2"),
        "X2": ("counted", "X2"),
    }
    versions = {row["rule"]: row["ruleset"] for row in ledger.rows(t.links) if row["valid_to"] is None}
    assert versions == {"B1": 2, "T3": 2, "T2": 2, "X2": 1}  # what holds unchanged stays as it was made
    found = rulesets.linking_of(ledger.store, ledger.organization.id)
    assert (found.ruleset.version, found.relinking.left, found.draft) == (2, 0, None)

    back = compared(ledger, owner)
    assert len(difference(ledger)) == 2
    rulesets.apply(ledger.store, owner, back, now=NOW)
    link(ledger)
    assert states(ledger, ids) == first
    assert [row.version for row in rulesets.linking_of(ledger.store, ledger.organization.id).history] == [3, 2]
    entries = [row for row in ledger.rows(t.audit_entries) if row["action"] == "ruleset.applied"]
    assert [(row["actor"], row["subject"]) for row in entries] == [
        ("alice@example.com", "version 2"),
        ("alice@example.com", "version 3"),
    ]


def test_a_higher_threshold_moves_what_is_below_it(ledger: Ledger, owner: Member) -> None:
    a_world(ledger)
    compared(ledger, owner, threshold=850)
    assert difference(ledger) == [("counted", "suggested", 1, COST)]
    compared(ledger, owner, B3="off")
    assert difference(ledger) == []


def test_what_cannot_be_done(ledger: Ledger, owner: Member) -> None:
    a_world(ledger)
    store, organization = ledger.store, ledger.organization.id
    with pytest.raises(Forbidden):
        rulesets.propose(store, replace(owner, role="admin"), 900, {})
    with pytest.raises(InvalidInput):
        rulesets.propose(store, owner, 100, {})
    with pytest.raises(Conflict, match="in force"):
        rulesets.propose(store, owner, 800, {})
    first = rulesets.propose(store, owner, 900, {})
    with pytest.raises(Conflict, match="not finished"):
        rulesets.apply(store, owner, first)
    second = compared(ledger, owner, B1="off")
    assert not rulesets.compare(store, organization, first)  # another has taken its place
    assert not rulesets.compare(store, organization, second)  # done
    for action in (rulesets.apply, lambda store, by, _: rulesets.discard(store, by)):
        with pytest.raises(Forbidden):
            action(store, replace(owner, role="member"), second)
    with pytest.raises(NotFound):
        rulesets.apply(store, owner, first)
    with pytest.raises(NotFound):
        rulesets.apply(store, replace(owner, organization_id=organization + 1), second)
    rulesets.apply(store, owner, second, now=NOW)
    with pytest.raises(Conflict, match="version 2"):
        rulesets.apply(store, owner, second)
    assert not rulesets.discard(store, owner)
    link(ledger)


def test_rules_are_tested_on_runs_whose_pull_request_is_told(ledger: Ledger) -> None:
    a_world(ledger)
    more: list[dict[str, Any]] = [
        {"actor": "alice", "branch": "feature/1", "pr_number": 1},  # B1 would be right
        {"actor": "alice", "branch": "feature/1", "pr_number": 2},  # and here wrong
        {"actor": None, "branch": "feature/2", "pr_number": 2},  # B3
        {"actor": "bob", "branch": "main", "files": ("b.py",), "pr_number": 2},  # T1
        {"actor": "erin", "branch": "main", "pr_number": 1},  # no rule would have found it
    ]
    for values in more:
        ledger.send_one(a_run(repository="acme/web", **values))
    link(ledger)
    found = rulesets.calibrate(ledger.store, ledger.organization.id, now=NOW)
    assert {rule: tally for rule, tally in found.items() if tally.tested} == {
        "B1": Tally(2, 1),
        "B3": Tally(1, 1),
        "T1": Tally(1, 1),
    }
    told = rulesets.linking_of(ledger.store, ledger.organization.id)
    assert told.measured_at == NOW
    lines = {line.rule: line.tally for line in told.lines}
    assert (lines["B1"], lines["C1"], lines["X2"]) == (Tally(2, 1), Tally(0, 0), None)
    rulesets.calibrate(ledger.store, ledger.organization.id, now=NOW + HOUR)
    assert rulesets.linking_of(ledger.store, ledger.organization.id).measured_at == NOW + HOUR


def test_moves_are_listed_by_what_they_cost() -> None:
    class Row:
        difference = (
            {"repository": "acme/a", "moves": [{"from": "counted", "to": "pending", "runs": 3, "costNanos": 1}]},
            {"repository": "acme/b", "moves": [{"from": "pending", "to": "counted", "runs": 1, "costNanos": 9}]},
        )

    lines = rulesets.difference_lines(Row())
    assert lines == [Move("acme/b", "pending", "counted", 1, 9), Move("acme/a", "counted", "pending", 3, 1)]


def test_a_pass_over_every_run_tells_how_many_it_has_done(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "GROUP", 2)
    monkeypatch.setattr(jobs, "TELL_SECONDS", 0.0)
    ledger.send(*(a_run(repository="acme/web", occurred_at=NOW - timedelta(minutes=n)) for n in range(5)))
    link(ledger)
    repository_id = ledger.repository("acme/web")
    tell, seen = jobs._teller(ledger.store, ledger.organization.id, repository_id), []

    def told(done: int, total: int) -> None:
        tell(done, total)
        seen.append((done, total, stored()))

    def stored() -> int | None:
        (row,) = ledger.rows(t.repositories)
        return row["relinked_runs"]  # type: ignore[no-any-return]

    with ledger.store.write() as tx:
        tx.execute(t.repositories.update().values(facts_version=t.repositories.c.facts_version + 1))
    link_repository(ledger.store, ledger.organization.id, repository_id, progress=told)
    assert len(seen) > 2
    assert all(done == kept for done, _, kept in seen[:-1])
    assert seen[-1][:2] == (5, 5)
    assert stored() is None
    assert rulesets.linking_of(ledger.store, ledger.organization.id).relinking.left == 0
