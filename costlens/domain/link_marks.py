"""What a change of facts can change: the runs that name, or lie near, something of the facts before or after it.

A mark says so in the words of a run, so that the next pass finds those runs without reading the others. Each kind is
the other side of a look-up that a rule makes: a rule that looks something new up needs its mark here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from costlens.domain.link_index import FOREVER, default_branches, pull_entry, targets_of
from costlens.domain.link_rules import NEXT_COMMIT_LATE, PROMPT_TRAILER, Target
from costlens.domain.links import CommitFact, PullFact, RepositoryFacts


class MarkKind(StrEnum):
    """What a mark's value is."""

    RUN = "run"  # number of a run
    KEY = "key"  # shown id, request id or correlation id
    SESSION = "session"
    COMMIT = "commit"  # sha that a run names
    PULL = "pull"  # number that a run names
    BRANCH = "branch"
    PERSON = "person"  # number of a person


@dataclass(frozen=True, slots=True)
class Mark:
    """Runs to look at again."""

    kind: MarkKind
    value: str
    since: datetime | None = None  # None: however early
    until: datetime | None = None  # inclusive; None: however late


def marks_of_change(before: RepositoryFacts, after: RepositoryFacts) -> set[Mark]:
    """The runs whose links may differ between two states of the same part of a repository.

    The part is closed: all commits of its pull requests, and of the commits outside all pull requests that hold
    them. Branches that became known or unknown are not seen from it: `branches_of` names them.
    """
    old, new = ({pull.id: pull for pull in facts.pulls} for facts in (before, after))
    pulls = {number for number in old.keys() | new.keys() if old.get(number) != new.get(number)}
    defaults = default_branches(before.default_branch) | default_branches(after.default_branch)
    marks: set[Mark] = set()
    for state in (old, new):
        for number in pulls & state.keys():
            marks.update(_of_pull(state[number], defaults))
    for target in _differing(before, after, pulls):
        if target.commit:
            marks.update(_of_commit(target.commit))
    return marks


def branches_of(facts: Iterable[RepositoryFacts]) -> set[str]:
    """The branches that these facts can make known: heads of pull requests, and what holds commits outside any."""
    found: set[str] = set()
    for part in facts:
        found.update(pull.head_ref for pull in part.pulls if pull.head_ref)
        for commit, _ in targets_of(part):
            found |= commit.branches
        found -= default_branches(part.default_branch)
    return found


def _differing(before: RepositoryFacts, after: RepositoryFacts, pulls: set[int]) -> Iterator[Target]:
    """What became of each commit whose content, pull request or place in one has changed."""
    old, new = (
        {(target.pull.id if target.pull else None, commit.sha): target for commit, target in targets_of(facts)}
        for facts in (before, after)
    )
    for key in old.keys() | new.keys():
        first, second = old.get(key), new.get(key)
        if (
            key[0] in pulls
            or first is None
            or second is None
            or (first.commit, first.orphaned) != (second.commit, second.orphaned)
        ):
            yield from (target for target in (first, second) if target)


def _of_pull(pull: PullFact, defaults: frozenset[str]) -> Iterator[Mark]:
    yield Mark(MarkKind.PULL, str(pull.number))
    if pull.head_ref and pull.head_ref not in defaults:
        entry = pull_entry(pull)
        yield Mark(MarkKind.BRANCH, pull.head_ref, entry.opens, None if entry.closes is FOREVER else entry.closes)
    if pull.merge_commit_sha:
        yield Mark(MarkKind.COMMIT, pull.merge_commit_sha)
    yield from (Mark(MarkKind.KEY, key) for key in pull.run_keys)
    yield from (Mark(MarkKind.SESSION, session) for session in pull.sessions)


def _of_commit(commit: CommitFact) -> Iterator[Mark]:
    yield Mark(MarkKind.COMMIT, commit.sha)
    yield from (Mark(MarkKind.KEY, key) for key in commit.run_keys)
    yield from (Mark(MarkKind.SESSION, session) for session in commit.sessions | commit.attested)
    if commit.person_id is not None:
        reach = PROMPT_TRAILER if commit.prompts else NEXT_COMMIT_LATE
        yield Mark(MarkKind.PERSON, str(commit.person_id), commit.authored_at - reach, commit.authored_at)
