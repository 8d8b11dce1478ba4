"""Tells the linker which runs a change of facts may matter to: the facts are looked at before it and after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from costlens.domain.github import CommitRecord, PullRecord, RepositoryRecord
from costlens.domain.link_index import default_branches
from costlens.domain.link_marks import Mark, MarkKind, branches_of, marks_of_change
from costlens.domain.links import RepositoryFacts
from costlens.domain.trailers import squashed_pull
from costlens.store.branches import known_branches
from costlens.store.engine import Tx
from costlens.store.facts import facts_of
from costlens.store.github import is_linked
from costlens.store.link_marks import add_marks, mark_all


@dataclass(frozen=True, slots=True)
class Watched:
    """The facts that some records tell of, as they are before the records are stored."""

    numbers: Collection[int]
    shas: Collection[str]
    facts: RepositoryFacts
    branches: Collection[str]
    known: Collection[str]  # those of the branches that were known


def watch(
    tx: Tx,
    organization_id: int,
    repository_id: int,
    records: Iterable[RepositoryRecord | CommitRecord | PullRecord],
) -> Watched | None:
    """Looks at what the records may change. None: the next pass looks at every run anyway."""
    if not is_linked(tx, organization_id, repository_id):
        return None
    pulls = [record for record in records if isinstance(record, PullRecord)]
    commits = [record for record in records if isinstance(record, CommitRecord)]
    commits += [commit for pull in pulls for commit in pull.commits]
    numbers, shas = {pull.number for pull in pulls}, {commit.sha for commit in commits}
    numbers |= {number for commit in commits if (number := squashed_pull(commit.message))}
    facts = facts_of(tx, organization_id, repository_id, numbers, shas)
    branches = branches_of([facts]) | {pull.head_ref for pull in pulls if pull.head_ref}
    branches |= {branch for commit in commits for branch in commit.branches}
    branches -= default_branches(facts.default_branch)
    known = known_branches(tx, organization_id, repository_id, branches)
    return Watched(numbers, shas, facts, branches, known)


def mark_changes(tx: Tx, organization_id: int, repository_id: int, before: Watched | None) -> None:
    """Marks the runs whose links may differ now that the records are stored."""
    after = facts_of(tx, organization_id, repository_id, before.numbers, before.shas) if before else None
    if before is None or after is None or after.default_branch != before.facts.default_branch:
        mark_all(tx, organization_id, repository_id)
        return
    marks = marks_of_change(before.facts, after)
    # What comes to light only now can have lost its branch, not gained it: a commit that has found its pull request.
    branches = branches_of([before.facts, after]) | {*before.branches}
    known = known_branches(tx, organization_id, repository_id, branches)
    was_known = {*before.known} | (branches - {*before.branches})
    marks |= {Mark(MarkKind.BRANCH, name) for name in known ^ was_known}
    add_marks(tx, organization_id, repository_id, marks)
