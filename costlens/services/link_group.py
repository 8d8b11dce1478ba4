"""Links a group of runs: reads what they can reach, asks the pure linker, and writes only what differs."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from costlens.domain.calibration import hidden_facts, hidden_runs
from costlens.domain.errors import NotFound, Unavailable
from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.link_rules import NEIGHBOUR, SESSION_FILES
from costlens.domain.linking import link_runs, split
from costlens.domain.links import Link, LinkState, ManualDecision, RepositoryFacts, Ruleset, RunFact, RunLinks
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.facts import facts_around
from costlens.store.homeless import homes
from costlens.store.link_marks import add_marks
from costlens.store.link_work import RunRow, claim_links, read_runs, run_fact, session_mates, versions
from costlens.store.organizations import get_organization
from costlens.store.rollups import Change

WRITE_CHUNK = 250  # runs a write transaction: short enough that ingest never waits long
TRIES = 10


@dataclass(frozen=True, slots=True)
class Linker:
    """Whose runs are linked, by which rules, and at what time."""

    store: Store
    organization_id: int
    repository_id: int  # 0: runs that name none
    ruleset: Ruleset
    at: datetime


@dataclass(frozen=True, slots=True)
class Linked:
    """What came of a group."""

    runs: int
    changed: int
    link_seconds: float  # the pure part
    elsewhere: frozenset[int]  # repositories that runs of the group were given to


@dataclass(frozen=True, slots=True)
class _Group:
    """What the answers are made from. Whatever changed meanwhile is left to the pass that its change asks for."""

    links_version: int
    rows: Mapping[int, RunRow]  # the runs to answer for
    runs: Mapping[int, RunFact]
    mates: Sequence[RunFact]
    facts: RepositoryFacts
    decisions: Sequence[ManualDecision]
    stored: Mapping[int, Sequence[link_store.LinkRow]]  # by run
    elsewhere: Mapping[int, Sequence[int]]  # repository → runs that name none and belong there


class _OvertakenError(Exception):
    """Somebody else has written links of the repository since the group was read."""


def link_group(linker: Linker, run_ids: Collection[int], *, with_mates: bool = True) -> Linked:
    """Links these runs and, unless every run has its turn anyway, those of their sessions that they matter to.

    Raises Unavailable when others keep writing links of the same repository.
    """
    for _ in range(TRIES):
        with linker.store.read() as tx:
            group = _read(tx, linker, run_ids, with_mates)
        started = time.perf_counter()
        answers = link_runs(
            list(group.runs.values()), group.facts, group.decisions, linker.ruleset, linker.at, group.mates
        )
        seconds = time.perf_counter() - started
        try:
            changed = _write_all(linker, group, answers)
        except _OvertakenError:
            continue
        return Linked(len(answers), changed, seconds, frozenset(group.elsewhere))
    raise Unavailable("Links of this repository are being written all the time; try again", retry_after=1)


@dataclass(frozen=True, slots=True)
class Examined:
    """Runs with the links that hold, and what the linker says of them."""

    rows: Mapping[int, RunRow]
    stored: Mapping[int, Sequence[link_store.LinkRow]]  # by run
    answers: Sequence[RunLinks]


def examine(linker: Linker, run_ids: Collection[int], *, hide: bool = False) -> Examined:
    """What the linker would answer for these runs; nothing is written.

    `hide`: as if neither the runs nor the facts named each other, and nobody had decided anything.
    """
    with linker.store.read() as tx:
        group = _read(tx, linker, run_ids, with_mates=False)
    runs, facts, mates, decisions = list(group.runs.values()), group.facts, group.mates, group.decisions
    if hide:
        runs, mates, facts, decisions = hidden_runs(runs), hidden_runs(mates), hidden_facts(facts), ()
    return Examined(group.rows, group.stored, link_runs(runs, facts, decisions, linker.ruleset, linker.at, mates))


def _read(tx: Tx, linker: Linker, run_ids: Collection[int], with_mates: bool) -> _Group:
    organization_id, repository_id = linker.organization_id, linker.repository_id
    version = versions(tx, organization_id, repository_id)
    own, elsewhere = _placed(tx, linker, run_ids)
    asked = {row["id"]: run_fact(row) for row in own.values()}
    changed = _times(run for run in asked.values() if own[run.id]["linked_at"] is None and run.files)
    reach = SESSION_FILES if changed else NEIGHBOUR
    around = session_mates(
        tx, organization_id, repository_id, list(asked.values()), (reach if with_mates else timedelta()) + SESSION_FILES
    )
    rows = own | {row["id"]: row for row in around if row["id"] not in own}
    facts_of_run = asked | {number: run_fact(row) for number, row in rows.items() if number not in asked}
    if with_mates:
        touched = _times(asked.values())
        asked |= {
            number: run
            for number, run in facts_of_run.items()
            if _near(run, touched, NEIGHBOUR) or _near(run, changed, SESSION_FILES)
        }
    times = _times(asked.values())
    mates = [run for number, run in facts_of_run.items() if number not in asked and _near(run, times, SESSION_FILES)]
    # Of a mate further away only its files are asked for, which need no facts.
    reachable = [*asked.values(), *(run for run in mates if _near(run, times, NEIGHBOUR))]
    decisions = link_store.decisions(tx, organization_id, [run.id for run in reachable])
    decided = {decision.pull_request_id for decision in decisions}
    return _Group(
        links_version=version.links,
        rows={number: rows[number] for number in asked},
        runs=asked,
        mates=mates,
        facts=facts_around(
            tx, organization_id, repository_id, reachable, decided, default_branch=version.default_branch or ""
        ),
        decisions=decisions,
        stored=link_store.current_links(tx, organization_id, sorted(asked)),
        elsewhere=elsewhere,
    )


def _placed(tx: Tx, linker: Linker, run_ids: Collection[int]) -> tuple[dict[int, RunRow], dict[int, list[int]]]:
    """The runs that are this repository's to link, by id; and unseen runs of none that are another's, by repository.

    A seen run of none moves only to a repository that has just named it, whose own marks find it.
    """
    rows = read_runs(tx, linker.organization_id, run_ids)
    home = homes(tx, linker.organization_id, [row for row in rows if row["repository_id"] is None])
    own: dict[int, RunRow] = {}
    elsewhere: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        place = row["repository_id"] or home.get(row["id"], 0)
        if place == linker.repository_id:
            own[row["id"]] = row
        elif row["repository_id"] is None and row["linked_at"] is None and place:
            elsewhere[place].append(row["id"])
    return own, elsewhere


def _times(runs: Iterable[RunFact]) -> dict[str, list[datetime]]:
    """When each session has runs among these, in order."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.occurred_at):
        if run.session_id and run.has_repository:
            found[run.session_id].append(run.occurred_at)
    return found


def _near(run: RunFact, times: Mapping[str, Sequence[datetime]], reach: timedelta) -> bool:
    """Whether the run's session has one of these times that near."""
    of_session = times.get(run.session_id or "", ())
    place = bisect_left(of_session, run.occurred_at - reach)
    return place < len(of_session) and of_session[place] <= run.occurred_at + reach


def _write_all(linker: Linker, group: _Group, answers: Sequence[RunLinks]) -> int:
    """Writes what differs from the stored links; answers how many runs changed. Raises _OvertakenError."""
    differing = [
        answer
        for answer in answers
        if (row := group.rows[answer.run_id])["linked_at"] is None
        or not _same(answer, row, group.stored.get(answer.run_id, ()))
    ]
    changed = 0
    for turn, start in enumerate(range(0, len(differing), WRITE_CHUNK)):
        chunk, version = differing[start : start + WRITE_CHUNK], group.links_version + turn
        changed += linker.store.transact(
            partial(_write, linker=linker, group=group, answers=chunk, links_version=version)
        )
    if group.elsewhere:
        linker.store.transact(partial(_send_elsewhere, linker=linker, runs=group.elsewhere))
    return changed


def _send_elsewhere(tx: Tx, linker: Linker, runs: Mapping[int, Sequence[int]]) -> None:
    for repository_id, numbers in sorted(runs.items()):
        marks = [Mark(MarkKind.RUN, str(number)) for number in numbers]
        add_marks(tx, linker.organization_id, repository_id, marks)


def _write(tx: Tx, linker: Linker, group: _Group, answers: Sequence[RunLinks], links_version: int) -> int:
    organization_id, at = linker.organization_id, linker.at
    ids = [answer.run_id for answer in answers]
    runs = {run["id"]: run for run in read_runs(tx, organization_id, ids, lock=True)}
    zone = _claim(tx, linker, links_version)
    stored = link_store.current_links(tx, organization_id, ids)
    # After the lock: a decision or a name stored before it counts, one stored after it asks for a pass of its own.
    unmoved = _unmoved(tx, linker, group, runs)
    change = Change(organization_id, zone)
    states: list[dict[str, Any]] = []
    fresh: list[dict[str, Any]] = []
    ended: list[int] = []
    seen: list[int] = []
    for answer in answers:
        if answer.run_id not in unmoved:
            continue
        run, links = runs[answer.run_id], stored.get(answer.run_id, [])
        if _same(answer, run, links):
            seen.append(answer.run_id)
            continue
        made = _link_rows(linker, answer, run)
        change.add_ledger(run, links, -1)
        counted = sum(link["cost_nanos"] for link in made)
        run |= {"link_state": str(answer.state), "unlinked_reason": str(answer.reason) if answer.reason else None}
        change.add_ledger(run, made)
        states.append(
            {
                "organization": organization_id,
                "run_id": answer.run_id,
                "new_link_state": run["link_state"],
                "new_unlinked_reason": run["unlinked_reason"],
                "new_counted_nanos": counted,
                "new_linked_at": at,
            }
        )
        ended += [link["id"] for link in links]
        fresh += made
    link_store.close_links(tx, organization_id, ended, at, "superseded")
    link_store.add_links(tx, fresh)
    link_store.set_link_state(tx, states)
    link_store.mark_linked(tx, organization_id, seen, at)
    change.write(tx)
    return len(states)


def _claim(tx: Tx, linker: Linker, links_version: int) -> str:
    """Takes the right to write; answers the organization's time zone. Raises _OvertakenError, NotFound."""
    if linker.repository_id:
        zone = claim_links(tx, linker.organization_id, linker.repository_id, links_version)
        if zone is None:
            raise _OvertakenError
        return zone
    organization = get_organization(tx, linker.organization_id)
    if organization is None:
        raise NotFound("The organization is gone")
    return organization.timezone


def _unmoved(tx: Tx, linker: Linker, group: _Group, runs: Mapping[int, RunRow]) -> set[int]:
    """Those of the runs that are still as they were when the group was read."""
    there = {number for number, run in runs.items() if run_fact(run) == group.runs[number]}
    before = _by_run(group.decisions)
    decided = _by_run(link_store.decisions(tx, linker.organization_id, sorted(there)))
    there -= {number for number in there if decided.get(number) != before.get(number)}
    home = homes(tx, linker.organization_id, [run for run in runs.values() if run["repository_id"] is None])
    places = {number: runs[number]["repository_id"] or home.get(number, 0) for number in there}
    return {number for number, place in places.items() if place == linker.repository_id}


def _by_run(decisions: Iterable[ManualDecision]) -> dict[int, list[ManualDecision]]:
    found: dict[int, list[ManualDecision]] = {}
    for decision in decisions:
        found.setdefault(decision.run_id, []).append(decision)
    return found


def _same(answer: RunLinks, run: RunRow, stored: Sequence[link_store.LinkRow]) -> bool:
    """Whether the answer is what is stored; a link that holds under a newer ruleset keeps the one that made it."""
    if run["link_state"] != answer.state or run["unlinked_reason"] != answer.reason:
        return False
    return [_content(link) for link in answer.links] == [
        (row["pull_request_id"], row["commit_sha"], row["rule"], row["confidence"], row["state"], _timeless(row))
        for row in stored
    ]


def _content(link: Link) -> tuple[Any, ...]:
    evidence = {name: value for name, value in link.evidence.items() if name != "ruleset"}
    return link.pull_request_id, link.commit_sha, link.rule, link.confidence, str(link.state), evidence


def _timeless(row: link_store.LinkRow) -> dict[str, Any]:
    return {name: value for name, value in row["evidence"].items() if name != "ruleset"}


def _link_rows(linker: Linker, answer: RunLinks, run: RunRow) -> list[dict[str, Any]]:
    counted = [link for link in answer.links if link.state == LinkState.COUNTED]
    shares = iter(split(run["cost_nanos"] or 0, len(counted)) if counted else ())
    return [
        {
            "organization_id": linker.organization_id,
            "run_id": answer.run_id,
            "repository_id": linker.repository_id,
            "pull_request_id": link.pull_request_id,
            "commit_sha": link.commit_sha,
            "rule": link.rule,
            "confidence": link.confidence,
            "state": str(link.state),
            "cost_nanos": next(shares) if link.state == LinkState.COUNTED else 0,
            "ruleset": linker.ruleset.version,
            "evidence": dict(link.evidence),
            "valid_from": linker.at,
            "valid_to": None,
            "closed_reason": None,
        }
        for link in answer.links
    ]
