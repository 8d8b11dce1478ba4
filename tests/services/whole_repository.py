"""The links that a look at everything gives: all runs and all facts at once, read straight from the tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from costlens.domain.linking import link_runs
from costlens.domain.links import CommitFact, ManualDecision, PullFact, RepositoryFacts
from costlens.domain.trailers import body_trailers, co_authors, commit_trailers
from costlens.store import tables as t
from costlens.store.homeless import homes
from costlens.store.link_work import read_runs, run_fact
from costlens.store.rulesets import ruleset_of
from tests.services.ledger import Ledger

Answer = tuple[str, str | None, list[tuple[Any, ...]]]  # state, reason, links


def stored_links(ledger: Ledger) -> dict[int, Answer]:
    """What the database says of each run that may be linked."""
    links, made = [row for row in ledger.rows(t.links) if row["valid_to"] is None], ledger.rows(t.link_rulesets)
    fields = ("repository_id", "pull_request_id", "commit_sha", "rule", "confidence", "state", "evidence")
    return {
        run["id"]: (
            run["link_state"],
            run["unlinked_reason"],
            [
                tuple(own(link["evidence"], made) if name == "evidence" else link[name] for name in fields)
                for link in links
                if link["run_id"] == run["id"]
            ],
        )
        for run in ledger.rows(t.runs)
        if run["code"]
    }


def expected_links(ledger: Ledger, now: datetime) -> dict[int, Answer]:
    """What the pure linker says of each run, given everything that the database knows."""
    with ledger.store.read() as tx:
        runs = read_runs(tx, ledger.organization.id, [row["id"] for row in ledger.rows(t.runs)])
        home = homes(tx, ledger.organization.id, [run for run in runs if run["repository_id"] is None])
        ruleset = ruleset_of(tx, ledger.organization.id)
    made = ledger.rows(t.link_rulesets)
    decisions = [
        ManualDecision(row["run_id"], row["pull_request_id"], row["confirmed"], row["decided_by"])
        for row in ledger.rows(t.link_decisions)
    ]
    found: dict[int, Answer] = {}
    for place in (0, *(row["id"] for row in ledger.rows(t.repositories))):
        mine = [run_fact(run) for run in runs if (run["repository_id"] or home.get(run["id"], 0)) == place]
        for answer in link_runs(mine, all_facts(ledger, place), decisions, ruleset, now):
            links = [
                (
                    place,
                    one.pull_request_id,
                    one.commit_sha,
                    one.rule,
                    one.confidence,
                    str(one.state),
                    own(one.evidence, made),
                )
                for one in answer.links
            ]
            found[answer.run_id] = (str(answer.state), answer.reason and str(answer.reason), links)
    return found


def own(evidence: Mapping[str, Any], rulesets: list[dict[str, Any]]) -> dict[str, Any]:
    """The evidence; once the rules have changed, without the version: a link that holds keeps that which made it.

    Raises AssertionError for a version that never was in force.
    """
    if not rulesets:
        return dict(evidence)
    assert evidence["ruleset"] in {1, *(row["version"] for row in rulesets if row["applied_at"] is not None)}
    return {name: value for name, value in evidence.items() if name != "ruleset"}


def all_facts(ledger: Ledger, repository_id: int) -> RepositoryFacts:
    """Every pull request and commit of a repository."""
    default = {row["id"]: row["default_branch"] or "" for row in ledger.rows(t.repositories)}.get(repository_id, "")
    people = {row["value"]: row["person_id"] for row in ledger.rows(t.identities) if row["kind"] == "email"}
    commits = {
        row["id"]: commit(row, people) for row in ledger.rows(t.commits) if row["repository_id"] == repository_id
    }
    members = sorted(ledger.rows(t.pull_request_commits), key=lambda row: (row["pull_request_id"], row["position"]))
    held = {row["commit_id"] for row in members}
    former = ledger.rows(t.former_commits)
    return RepositoryFacts(
        default,
        tuple(
            pull(
                row,
                tuple(commits[one["commit_id"]] for one in members if one["pull_request_id"] == row["id"]),
                frozenset(commits[one["commit_id"]].sha for one in former if one["pull_request_id"] == row["id"]),
            )
            for row in ledger.rows(t.pull_requests)
            if row["repository_id"] == repository_id
        ),
        tuple(fact for number, fact in commits.items() if number not in held),
    )


def commit(row: Mapping[str, Any], people: Mapping[str, int]) -> CommitFact:
    named = commit_trailers(row["message"])
    times, sets = (row["authored_at"], row["committed_at"]), (frozenset(row["files"]), frozenset(row["branches"]))
    both = (
        frozenset(people[one] for one in co_authors(row["message"]) if one in people),
        frozenset(row["attested"] or ()),
    )
    return CommitFact(row["sha"], row["person_id"], *times, *sets, named.run_keys, named.sessions, named.prompts, *both)


def pull(row: Mapping[str, Any], commits: tuple[CommitFact, ...], former: frozenset[str]) -> PullFact:
    named = body_trailers(row["body"])
    names = ("id", "number", "head_ref", "base_ref", "person_id", "created_at", "merged_at", "closed_at")
    own = (commits, named.run_keys, named.sessions, row["merge_commit_sha"], former)
    return PullFact(*(row[name] for name in names), *own)
