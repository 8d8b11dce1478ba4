"""Every rewrite and trap of a history has the links that it must have, whether its facts or its runs come first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costlens.domain.github import PersonRecord, PullRecord, RepositoryRecord
from costlens.services.linking import link_repository
from costlens.services.sync import import_records
from costlens.store import tables as t
from tests.services.histories import HISTORIES, History, at
from tests.services.ledger import NOW, Ledger, a_run, check_buckets, check_sums, open_ledger

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def ledger(engine: str) -> Iterator[Ledger]:
    with open_ledger(engine=engine) as opened:
        yield opened
        check_sums(opened)
        check_buckets(opened)


def place(history: History) -> str:
    return f"acme/{history.name.replace(' ', '-')}"


def load(ledger: Ledger, step: int) -> None:
    """The records that come in with this step of each history."""
    for history in HISTORIES:
        name, records = place(history), list[Any]()
        for record in history.steps[step] if step < len(history.steps) else ():
            if isinstance(record, PullRecord):
                commits = tuple(replace(commit, repository=name) for commit in record.commits)
                records.append(replace(record, repository=name, commits=commits))
            else:
                records.append(record if isinstance(record, PersonRecord) else replace(record, repository=name))
        import_records(ledger.store, ledger.organization.id, [RepositoryRecord(name, None, "main"), *records], now=NOW)


def send(ledger: Ledger) -> dict[int, tuple[str, str]]:
    """Sends the runs of all histories; answers (history, run) by id."""
    names = {}
    for history in HISTORIES:
        for run in history.runs:
            values = {"repository": place(history), "occurred_at": at(run.hour)} | run.values
            names[ledger.send_one(a_run(**values)).id] = (history.name, run.name)
    return names


def link(ledger: Ledger, *, full: bool = False) -> int:
    places = [row["id"] for row in ledger.rows(t.repositories)]
    passes = [link_repository(ledger.store, ledger.organization.id, one, now=LATER, full=full) for one in places]
    return sum(one.changed for one in passes)


def found(ledger: Ledger, names: dict[int, tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """The links of each run as the histories expect them."""
    numbers = {row["id"]: row["number"] for row in ledger.rows(t.pull_requests)}
    links: dict[int, list[Any]] = {}
    for row in ledger.rows(t.links):
        if row["valid_to"] is None and row["state"] != "unlinked":
            assert (row["state"] == "counted") is (row["rule"] not in ("D1", "T2", "T3")), row
            target = numbers[row["pull_request_id"]] if row["pull_request_id"] else row["commit_sha"]
            links.setdefault(row["run_id"], []).append((target, row["rule"]))
    return {
        names[row["id"]]: links.get(row["id"]) or (row["link_state"], row["unlinked_reason"])
        for row in ledger.rows(t.runs)
    }


@pytest.mark.parametrize("runs_first", [True, False])
def test_each_history_has_its_links(ledger: Ledger, runs_first: bool) -> None:
    names = send(ledger) if runs_first else {}
    for step in range(max(len(history.steps) for history in HISTORIES)):
        load(ledger, step)
        link(ledger)
    names = names or send(ledger)
    link(ledger)
    assert found(ledger, names) == {
        (history.name, run.name): run.expected for history in HISTORIES for run in history.runs
    }
    homes = {row["name"]: row["id"] for row in ledger.rows(t.repositories)}
    outcomes = {(row["repository_id"], row["number"]): row["outcome"] for row in ledger.rows(t.pull_requests)}
    for history in HISTORIES:
        mine = {number: outcomes[homes[place(history)], number] for number in history.outcomes}
        assert mine == history.outcomes, history.name
    assert link(ledger, full=True) == 0


def test_what_is_left_out_of_a_pull_request_says_so(ledger: Ledger) -> None:
    names = send(ledger)
    for step in range(2):
        load(ledger, step)
    link(ledger)
    orphaned = {names[row["run_id"]] for row in ledger.rows(t.links) if row["evidence"].get("orphaned")}
    assert orphaned == {
        ("a force-push that leaves a commit out", "made it"),
        ("a force-push that leaves a commit out", "of its session"),
    }


def test_signs_of_ai_are_those_of_agents_and_not_of_bots(ledger: Ledger) -> None:
    load(ledger, 0)
    homes = {row["id"]: row["name"] for row in ledger.rows(t.repositories)}
    signs = {homes[row["repository_id"]]: row["ai_signal"] for row in ledger.rows(t.pull_requests)}
    assert (signs["acme/bots"], signs["acme/co-authors"]) == (None, "claude")
