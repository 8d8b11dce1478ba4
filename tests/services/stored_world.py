"""A world of random facts in the database: what the linker reads from it must be as good as all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from costlens.domain.links import CommitFact, PullFact, RepositoryFacts, RunFact
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import insert_many
from tests.domain.link_facts import NOON

FACTS = (t.link_marks, t.link_decisions, t.mentions, t.pull_request_commits, t.pull_requests, t.commits)


def storable(facts: RepositoryFacts) -> RepositoryFacts:
    """The facts with one content a sha, and no commit both inside and outside pull requests."""
    known: dict[str, CommitFact] = {}
    pulls = tuple(
        replace(pull, commits=tuple(known.setdefault(commit.sha, commit) for commit in pull.commits))
        for pull in sorted(facts.pulls, key=lambda pull: pull.number)
    )
    return RepositoryFacts(facts.default_branch, pulls, tuple(one for one in facts.commits if one.sha not in known))


def store_facts(tx: Tx, organization_id: int, repository_id: int, facts: RepositoryFacts) -> None:
    """Puts these facts in place of all that there are of a repository."""
    for table in FACTS[2:]:
        tx.execute(table.delete())
    head = {"organization_id": organization_id, "repository_id": repository_id}
    shown = {commit.sha: commit for pull in facts.pulls for commit in pull.commits}
    shown |= {commit.sha: commit for commit in facts.commits}
    ids = {sha: number for number, sha in enumerate(sorted(shown), 1)}
    insert_many(
        tx,
        t.commits,
        [
            head
            | {
                "id": ids[sha],
                "sha": sha,
                "person_id": one.person_id,
                "authored_at": one.authored_at,
                "committed_at": one.committed_at,
                "message": _text(one),
                "files": sorted(one.files),
                "branches": sorted(one.branches),
            }
            for sha, one in shown.items()
        ],
    )
    named = ("id", "number", "head_ref", "base_ref", "person_id", "created_at", "merged_at", "closed_at")
    insert_many(
        tx,
        t.pull_requests,
        [
            head
            | {name: getattr(pull, name) for name in (*named, "merge_commit_sha")}
            | {"title": "", "body": _text(pull), "outcome": "open", "labels": []}
            for pull in facts.pulls
        ],
    )
    insert_many(
        tx,
        t.pull_request_commits,
        [
            {"pull_request_id": pull.id, "commit_id": ids[commit.sha], "position": n}
            for pull in facts.pulls
            for n, commit in enumerate(pull.commits)
        ],
    )
    mentions = {
        (kind, value, one.sha)
        for one in shown.values()
        for kind, values in (("session", one.sessions), ("run", one.run_keys), ("prompt", one.prompts))
        for value in values
    }
    mentions |= {("branch", branch, one.sha) for one in shown.values() for branch in one.branches}
    mentions |= {("session", value, f"#{pull.number}") for pull in facts.pulls for value in pull.sessions}
    mentions |= {("run", value, f"#{pull.number}") for pull in facts.pulls for value in pull.run_keys}
    insert_many(
        tx, t.mentions, [head | dict(zip(("kind", "value", "source"), one, strict=True)) for one in sorted(mentions)]
    )


def _text(one: CommitFact | PullFact) -> str:
    lines = [f"CostLens-Run: {key}" for key in sorted(one.run_keys)]
    lines += [f"CostLens-Session: {session}" for session in sorted(one.sessions)]
    lines += [f"CostLens-Prompt: {prompt}" for prompt in sorted(getattr(one, "prompts", ()))]
    return "\n".join(("Change\n", *lines))


def store_runs(tx: Tx, organization_id: int, repository_id: int, runs: Iterable[RunFact]) -> None:
    """Puts these runs, which the linker has seen, in place of all that there are."""
    for table in (t.runs, t.run_keys):
        tx.execute(table.delete())
    rows = [_row(organization_id, repository_id, run) for run in runs]
    insert_many(tx, t.runs, rows)
    keys = [{"kind": "request", "value": row["request_id"], "run_id": row["id"]} for row in rows]
    insert_many(tx, t.run_keys, [{"organization_id": organization_id, "content_hash": b""} | key for key in keys])


def _row(organization_id: int, repository_id: int, run: RunFact) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(column.name for column in t.runs.columns if column.nullable)
    row |= dict.fromkeys((*t.USAGE_COLUMNS, "counted_nanos"), 0)
    named = ("id", "occurred_at", "person_id", "branch", "session_id", "commit_sha", "pr_number", "prompt_id", "code")
    return (
        row
        | {name: getattr(run, name) for name in named}
        | {
            "organization_id": organization_id,
            "repository_id": repository_id if run.has_repository else None,
            "request_id": f"run_{run.id}",
            "commit_role": "result" if run.commit_is_result else "head_before",
            "files": sorted(run.files),
            "source": "api",
            "received_at": NOON,
            "provider": "openai",
            "model": "gpt-4o",
            "usage_quality": "exact",
            "cost_status": "free",
            "success": True,
            "cache_hit": False,
            "link_state": "pending",
            "linked_at": NOON,
        }
    )
