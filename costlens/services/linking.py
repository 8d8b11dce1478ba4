"""Links in: asks the pure linker for a repository's links and writes only what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.errors import NotFound
from costlens.domain.linking import RULESET_V1, link_runs, split
from costlens.domain.links import Link, LinkState, ManualDecision, RepositoryFacts, Ruleset, RunFact, RunLinks
from costlens.store import facts as fact_store
from costlens.store import links as link_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import add_audit, get_organization
from costlens.store.rollups import Change
from costlens.store.runs import get_runs

WRITE_CHUNK = 500  # runs a write transaction: short enough that ingest never waits long
UNSEEN_AFTER = timedelta(seconds=20)  # how long the queue may take before the sweeper steps in


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass did."""

    runs: int
    changed: int
    link_seconds: float  # the pure part
    elsewhere: frozenset[int] = frozenset()  # repositories whose trailers name waiting runs: a pass of theirs is due


def link_repository(
    store: Store,
    organization_id: int,
    repository_id: int,
    *,
    now: datetime | None = None,
    ruleset: Ruleset = RULESET_V1,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Pass:
    """Links the runs of a repository (0: runs that name none) and writes the differences.

    Looks at every run when GitHub's facts changed or `full` is set, else at runs not seen yet and their sessions.
    The same input writes nothing. `progress` is told (runs done, runs in all).
    """
    at = now or datetime.now(UTC)
    with store.read() as tx:
        version, linked_version = fact_store.facts_versions(tx, organization_id, repository_id)
        everything = full or version != linked_version
        rows, elsewhere = fact_store.runs_to_link(tx, organization_id, repository_id, only_waiting=not everything)
        facts = (
            fact_store.repository_facts(tx, organization_id, repository_id)
            if repository_id and rows
            else RepositoryFacts(default_branch="", pulls=(), commits=())
        )
        decisions = link_store.decisions(tx, organization_id)
    started = time.perf_counter()
    seen = [fact_store.run_fact(dict(row._mapping)) for row in rows]
    answers = link_runs(seen, facts, decisions, ruleset, at)
    seconds = time.perf_counter() - started
    looked_at = _LookedAt({run.id: run for run in seen}, _by_run(decisions))
    changed = 0
    for start in range(0, len(answers), WRITE_CHUNK):
        chunk = answers[start : start + WRITE_CHUNK]
        changed += _write(store, organization_id, repository_id, chunk, looked_at, ruleset, at)
        if progress:
            progress(start + len(chunk), len(answers))
    if version != linked_version:
        with store.write() as tx:
            fact_store.set_linked_version(tx, organization_id, repository_id, version)
    return Pass(len(answers), changed, seconds, elsewhere)


@dataclass(frozen=True, slots=True)
class _LookedAt:
    """What the answers of a pass were made from; whatever changed meanwhile waits for the next pass."""

    runs: Mapping[int, RunFact]
    decisions: Mapping[int, Sequence[ManualDecision]]


def _by_run(decisions: Sequence[ManualDecision]) -> dict[int, list[ManualDecision]]:
    found: dict[int, list[ManualDecision]] = {}
    for decision in decisions:
        found.setdefault(decision.run_id, []).append(decision)
    return found


def _write(
    store: Store,
    organization_id: int,
    repository_id: int,
    answers: Sequence[RunLinks],
    looked_at: _LookedAt,
    ruleset: Ruleset,
    at: datetime,
) -> int:
    """Writes what differs from the stored links of these runs; answers how many runs changed."""
    ids = [answer.run_id for answer in answers]
    with store.read() as tx:
        if not _differences(tx, organization_id, answers, ids):
            return 0
    with store.write() as tx:
        organization = get_organization(tx, organization_id)
        if organization is None:
            raise NotFound("The organization is gone")
        change = Change(organization_id, organization.timezone)
        states: list[dict[str, Any]] = []
        fresh: list[dict[str, Any]] = []
        ended: list[int] = []
        seen: list[int] = []
        differences = _differences(tx, organization_id, answers, ids, lock=True)
        # After the lock: a decision stored before it counts, one stored after it marks the run as not seen.
        decided = _by_run(link_store.decisions(tx, organization_id, ids))
        for answer, run, stored in differences:
            if (
                (run["repository_id"] or repository_id) != repository_id
                or fact_store.run_fact(run) != looked_at.runs[answer.run_id]
                or decided.get(answer.run_id, []) != looked_at.decisions.get(answer.run_id, [])
            ):
                continue  # whoever changed it put it before the linker again
            if _same(answer, run, stored):
                seen.append(answer.run_id)
                continue
            links = _link_rows(organization_id, repository_id, answer, run, ruleset, at)
            change.add_ledger(run, stored, -1)
            counted = sum(link["cost_nanos"] for link in links)
            run |= {"link_state": str(answer.state), "unlinked_reason": str(answer.reason) if answer.reason else None}
            change.add_ledger(run, links)
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
            ended += [link["id"] for link in stored]
            fresh += links
        link_store.close_links(tx, organization_id, ended, at, "superseded")
        link_store.add_links(tx, fresh)
        link_store.set_link_state(tx, states)
        link_store.mark_linked(tx, organization_id, seen, at)
        change.write(tx)
    return len(states)


def _differences(
    tx: Tx, organization_id: int, answers: Sequence[RunLinks], ids: Sequence[int], *, lock: bool = False
) -> list[tuple[RunLinks, dict[str, Any], list[dict[str, Any]]]]:
    """The answers that differ from what is stored, or whose run the linker had not seen, with run and links."""
    runs = get_runs(tx, organization_id, ids, lock=lock)
    stored = link_store.current_links(tx, organization_id, ids)
    found = []
    for answer in answers:
        run = runs.get(answer.run_id)  # None: deleted meanwhile
        if run is None:
            continue
        links = stored.get(answer.run_id, [])
        if run["linked_at"] is None or not _same(answer, run, links):
            found.append((answer, run, links))
    return found


def _same(answer: RunLinks, run: Mapping[str, Any], stored: Sequence[Mapping[str, Any]]) -> bool:
    if run["link_state"] != answer.state or run["unlinked_reason"] != answer.reason:
        return False
    return [_content(link) for link in answer.links] == [
        (row["pull_request_id"], row["commit_sha"], row["rule"], row["confidence"], row["state"], row["evidence"])
        for row in stored
    ]


def _content(link: Link) -> tuple[Any, ...]:
    return (
        link.pull_request_id, link.commit_sha, link.rule, link.confidence, str(link.state), dict(link.evidence)
    )  # fmt: skip


def _link_rows(
    organization_id: int,
    repository_id: int,
    answer: RunLinks,
    run: Mapping[str, Any],
    ruleset: Ruleset,
    at: datetime,
) -> list[dict[str, Any]]:
    counted = [link for link in answer.links if link.state == LinkState.COUNTED]
    shares = iter(split(run["cost_nanos"] or 0, len(counted)) if counted else ())
    return [
        {
            "organization_id": organization_id,
            "run_id": answer.run_id,
            "repository_id": repository_id,
            "pull_request_id": link.pull_request_id,
            "commit_sha": link.commit_sha,
            "rule": link.rule,
            "confidence": link.confidence,
            "state": str(link.state),
            "cost_nanos": next(shares) if link.state == LinkState.COUNTED else 0,
            "ruleset": ruleset.version,
            "evidence": dict(link.evidence),
            "valid_from": at,
            "valid_to": None,
            "closed_reason": None,
        }
        for link in answer.links
    ]


def decide_links(
    store: Store,
    organization_id: int,
    run_id: int,
    *,
    repository_id: int,
    decisions: Mapping[int, bool],
    by: str,
    now: datetime | None = None,
) -> None:
    """Keeps a person's word on a run, all of it or nothing, and links the run's session anew.

    `decisions` says of each pull request id whether it is confirmed. It survives every relinking. Raises NotFound.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        if run_id not in get_runs(tx, organization_id, [run_id]):
            raise NotFound("No such run")
        for pull_request_id, confirmed in decisions.items():
            link_store.decide(tx, organization_id, ManualDecision(run_id, pull_request_id, confirmed, by), at)
            add_audit(
                tx,
                organization_id,
                at=at,
                actor=by,
                action="link.confirmed" if confirmed else "link.rejected",
                subject=f"run {run_id}",
                details={"pullRequestId": pull_request_id},
            )
        link_store.mark_unseen(tx, organization_id, run_id)
    link_repository(store, organization_id, repository_id, now=at)


def waiting(store: Store, *, now: datetime | None = None) -> list[tuple[int, int]]:
    """(organization, repository) that the queue has missed: a lost job, a killed worker, a queue that was away."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        return fact_store.waiting_repositories(tx, at - UNSEEN_AFTER)


def overdue(store: Store, *, now: datetime | None = None, ruleset: Ruleset = RULESET_V1) -> list[tuple[int, int]]:
    """(organization, repository) with runs that have been pending for longer than the ruleset allows."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        return fact_store.overdue_repositories(tx, at - timedelta(days=ruleset.pending_days))
