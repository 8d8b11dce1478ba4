"""What the linker reads: runs and GitHub's facts of one repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from costlens.domain.links import CommitFact, PullFact, RepositoryFacts, RunFact
from costlens.domain.runs import show_id
from costlens.domain.trailers import body_trailers, commit_trailers
from costlens.store import homeless
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.identity import CHUNK


def repository_facts(tx: Tx, organization_id: int, repository_id: int) -> RepositoryFacts:
    """Pull requests with their commits, and the commits outside any, of one repository."""
    repository = tx.execute(
        select(t.repositories.c.default_branch).where(
            t.repositories.c.organization_id == organization_id, t.repositories.c.id == repository_id
        )
    ).first()
    mine = (t.commits.c.organization_id == organization_id, t.commits.c.repository_id == repository_id)
    commits = {row.id: _commit(row) for row in tx.execute(select(t.commits).where(*mine))}
    of_pull: dict[int, list[CommitFact]] = {}
    inside: set[int] = set()
    rows = tx.execute(
        select(t.pull_request_commits)
        .join(t.commits, t.commits.c.id == t.pull_request_commits.c.commit_id)
        .where(*mine)
        .order_by(t.pull_request_commits.c.pull_request_id, t.pull_request_commits.c.position)
    )
    for row in rows:
        of_pull.setdefault(row.pull_request_id, []).append(commits[row.commit_id])
        inside.add(row.commit_id)
    pulls = tx.execute(
        select(t.pull_requests)
        .where(t.pull_requests.c.organization_id == organization_id, t.pull_requests.c.repository_id == repository_id)
        .order_by(t.pull_requests.c.number)
    )
    return RepositoryFacts(
        default_branch=(repository.default_branch if repository else None) or "",
        pulls=tuple(_pull(row, tuple(of_pull.get(row.id, ()))) for row in pulls),
        commits=tuple(commit for commit_id, commit in sorted(commits.items()) if commit_id not in inside),
    )


def _commit(row: Row[Any]) -> CommitFact:
    trailers = commit_trailers(row.message)
    return CommitFact(
        sha=row.sha,
        person_id=row.person_id,
        authored_at=row.authored_at,
        committed_at=row.committed_at,
        files=frozenset(row.files),
        branches=frozenset(row.branches),
        run_keys=trailers.run_keys,
        sessions=trailers.sessions,
        prompts=trailers.prompts,
    )


def _pull(row: Row[Any], commits: tuple[CommitFact, ...]) -> PullFact:
    trailers = body_trailers(row.body)
    return PullFact(
        id=row.id,
        number=row.number,
        head_ref=row.head_ref,
        base_ref=row.base_ref,
        person_id=row.person_id,
        created_at=row.created_at,
        merged_at=row.merged_at,
        closed_at=row.closed_at,
        commits=commits,
        run_keys=trailers.run_keys,
        sessions=trailers.sessions,
        merge_commit_sha=row.merge_commit_sha,
    )


_RUN_COLUMNS = [
    t.runs.c[name]
    for name in (
        "id",
        "occurred_at",
        "person_id",
        "branch",
        "session_id",
        "commit_sha",
        "commit_role",
        "pr_number",
        "files",
        "request_id",
        "correlation_id",
        "prompt_id",
        "repository_id",
        "code",
        "link_state",
        "unlinked_reason",
        "linked_at",
    )
]


def run_fact(row: Mapping[str, Any]) -> RunFact:
    """What the linker may know of a stored run."""
    return RunFact(
        id=row["id"],
        occurred_at=row["occurred_at"],
        person_id=row["person_id"],
        branch=row["branch"],
        session_id=row["session_id"],
        commit_sha=row["commit_sha"],
        commit_is_result=row["commit_role"] == "result",
        pr_number=row["pr_number"],
        files=frozenset(row["files"] or ()),
        keys=frozenset(key for key in (show_id("run", row["id"]), row["request_id"], row["correlation_id"]) if key),
        prompt_id=row["prompt_id"],
        has_repository=row["repository_id"] is not None,
        code=row["code"],
    )


def runs_to_link(
    tx: Tx, organization_id: int, repository_id: int, *, only_waiting: bool
) -> tuple[list[Row[Any]], frozenset[int]]:
    """Runs of a repository (0: of none), and runs of no repository that a trailer here names.

    Second, of repository 0: the repositories that must look at waiting runs instead, as their trailers name them.
    `only_waiting` takes the runs that the linker has not seen and all others of their sessions: a session's runs
    decide together, everything else is decided alone.
    """
    run = t.runs.c
    mine = [run.organization_id == organization_id, run.code.is_(True)]
    if repository_id:
        mine.append(run.repository_id == repository_id)
    else:
        mine.append(run.repository_id.is_(None))
    if only_waiting:
        sessions = select(run.session_id).where(*mine, run.linked_at.is_(None), run.session_id.is_not(None)).distinct()
        mine.append(or_(run.linked_at.is_(None), run.session_id.in_(sessions)))
    rows = list(tx.execute(select(*_RUN_COLUMNS).where(*mine)))
    if repository_id:
        return rows + _named_here(tx, organization_id, repository_id), frozenset()
    home = homeless.homes(tx, organization_id, rows)
    elsewhere = frozenset(home[row.id] for row in rows if row.id in home and row.linked_at is None)
    return [row for row in rows if row.id not in home], elsewhere


def _named_here(tx: Tx, organization_id: int, repository_id: int) -> list[Row[Any]]:
    """Runs of no repository that this one's trailers name by id or session, or a person has put here."""
    ids, names, sessions = homeless.names_of(tx, organization_id, repository_id)
    run = t.runs.c
    without = (run.organization_id == organization_id, run.repository_id.is_(None), run.code.is_(True))
    found: dict[int, Row[Any]] = {}
    for column, values in (
        (run.id, ids),
        (run.request_id, names),
        (run.correlation_id, names),
        (run.session_id, sessions),
    ):
        for start in range(0, len(values), CHUNK):
            chunk: Sequence[Any] = values[start : start + CHUNK]
            found.update({row.id: row for row in tx.execute(select(*_RUN_COLUMNS).where(*without, column.in_(chunk)))})
    home = homeless.homes(tx, organization_id, list(found.values()))
    return [row for row in found.values() if home.get(row.id) == repository_id]


def waiting_repositories(tx: Tx, received_before: datetime) -> list[tuple[int, int]]:
    """(organization, repository) with runs that the linker has not seen, or with facts newer than their links.

    Repository 0 stands for runs that name none.
    """
    run = t.runs.c
    unseen = tx.execute(
        select(run.organization_id, func.coalesce(run.repository_id, 0))
        .distinct()
        .where(run.linked_at.is_(None), run.code.is_(True), run.received_at < received_before)
    )
    found = {(row[0], row[1]) for row in unseen}
    repository = t.repositories.c
    stale = tx.execute(
        select(repository.organization_id, repository.id).where(repository.facts_version != repository.linked_version)
    )
    return sorted(found | {(row.organization_id, row.id) for row in stale})


def overdue_repositories(tx: Tx, before: datetime) -> list[tuple[int, int]]:
    """(organization, repository) with runs that are still pending though older than a pull request may take."""
    run = t.runs.c
    rows = tx.execute(
        select(run.organization_id, func.coalesce(run.repository_id, 0))
        .distinct()
        .where(run.link_state == "pending", run.occurred_at < before)
    )
    return sorted((row[0], row[1]) for row in rows)


def facts_versions(tx: Tx, organization_id: int, repository_id: int) -> tuple[int, int]:
    """(version of the facts, version that the last full pass linked); equal when only new runs need a look."""
    row = tx.execute(
        select(t.repositories.c.facts_version, t.repositories.c.linked_version).where(
            t.repositories.c.organization_id == organization_id, t.repositories.c.id == repository_id
        )
    ).first()
    return (row.facts_version, row.linked_version) if row else (0, 0)


def set_linked_version(tx: Tx, organization_id: int, repository_id: int, version: int) -> None:
    """Notes which version of GitHub's facts the links of a repository were made from."""
    tx.execute(
        update(t.repositories)
        .where(t.repositories.c.organization_id == organization_id, t.repositories.c.id == repository_id)
        .values(linked_version=version)
    )


def repositories_of(tx: Tx, organization_id: int) -> Iterable[Row[Any]]:
    """All repositories of an organization by name."""
    return tx.execute(
        select(t.repositories)
        .where(t.repositories.c.organization_id == organization_id)
        .order_by(t.repositories.c.name)
    ).all()


def count_unseen(tx: Tx, organization_id: int) -> int:
    """Runs that the linker has not seen, and repositories whose facts are newer than their links."""
    run, repository = t.runs.c, t.repositories.c
    unseen = tx.scalar(
        select(func.count()).where(run.organization_id == organization_id, run.linked_at.is_(None), run.code.is_(True))
    )
    behind = tx.scalar(
        select(func.count()).where(
            repository.organization_id == organization_id, repository.facts_version != repository.linked_version
        )
    )
    return int(unseen or 0) + int(behind or 0)
