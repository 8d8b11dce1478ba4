"""A local clone as a source of GitHub's facts: commits, and the merged pull requests that their messages tell of.

Only the default branch is read: GitHub writes a pull request's number into the commit that merges it. What a clone
cannot tell is in docs/clone.md. The graph of the window (two names a commit) is kept in memory; messages and file
lists are streamed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from costlens.domain.git_ai import attested_sessions
from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, RepositoryRecord
from costlens.domain.names import identities_of, repository_name
from costlens.github.git import Ask, LoggedCommit, ask, main_branch, read_commits, read_graph

_MERGE = re.compile(r"^Merge pull request #(\d{1,9}) from [^/\s]+/(\S+)$")
_NUMBERED = re.compile(r"^(.*\S)\s*\(#(\d{1,9})\)$")
_STEP = 200  # commits between two words to `progress`

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Merged:
    """What the message of a merging commit tells of its pull request."""

    number: int
    title: str
    body: str | None  # None: the message has no more
    head_ref: str | None  # None: a squash does not tell


def read_clone(
    path: Path, repository: str, *, since: datetime | None = None, progress: Progress | None = None
) -> Iterator[Record]:
    """Records of the clone at `path`, oldest first, of what reached the default branch after `since`.

    `progress` is told commits read and commits in all. Raises InvalidInput where `path` is no clone, and Unavailable
    where git is missing or fails.
    """
    name = repository_name(repository)
    git = ask(path)
    ref, branch = main_branch(git)
    yield RepositoryRecord(name, default_branch=branch, closed_known=False)
    yield from _Reader(name, branch).records(git, ref, since, progress)


class _Reader:
    """Turns logged commits into records, and remembers which people and numbers it has told already."""

    def __init__(self, repository: str, branch: str | None) -> None:
        self.repository = repository
        self.branch = branch
        self.people: set[str] = set()
        self.numbers: set[int] = set()

    def records(self, git: Ask, ref: str, since: datetime | None, progress: Progress | None) -> Iterator[Record]:
        """One step of the default branch after the other, each with the side that it merged."""
        graph = read_graph(git, ref, since)
        steps = _steps(graph)
        order = (sha for step, side in steps for sha in (step, *side))
        with read_commits(git, order) as logged:
            done = 0
            for _, side in steps:
                yield from self._step(next(logged), islice(logged, len(side)))
                before, done = done, done + 1 + len(side)
                if progress and before // _STEP < done // _STEP:
                    progress(done, len(graph))
            next(logged, None)  # the end: git says whether it ended well
        if progress:
            progress(len(graph), len(graph))

    def _step(self, step: LoggedCommit, side: Iterator[LoggedCommit]) -> Iterator[Record]:
        yield from self._person(step)
        merged = merged_pull(step.message)
        if merged is None or merged.number in self.numbers:  # a number that comes again is a cherry-pick of the first
            yield self._commit(step, self.branch)
            for commit in side:
                yield from self._person(commit)
                yield self._commit(commit)
            return
        self.numbers.add(merged.number)
        if len(step.parents) < 2:
            yield self._pull(step, merged, [self._commit(step, self.branch)])
            return
        commits = []
        for commit in side:
            yield from self._person(commit)
            commits.append(self._commit(commit, merged.head_ref))
        yield self._pull(step, merged, commits)
        yield self._commit(step, self.branch)

    def _pull(self, step: LoggedCommit, merged: _Merged, commits: Sequence[CommitRecord]) -> PullRecord:
        first = min(commits, key=lambda commit: commit.authored_at, default=None)
        return PullRecord(
            repository=self.repository,
            number=merged.number,
            title=merged.title,
            body=merged.body,
            created_at=min(first.authored_at, step.committed_at) if first else step.committed_at,
            author=first.author if first else (),
            head_ref=merged.head_ref,
            head_sha=step.parents[1] if len(step.parents) > 1 else None,
            base_ref=self.branch,
            merged_at=step.committed_at,
            closed_at=step.committed_at,
            merge_commit_sha=step.sha,
            commits=tuple(commits),
        )

    def _commit(self, commit: LoggedCommit, branch: str | None = None) -> CommitRecord:
        return CommitRecord(
            repository=self.repository,
            sha=commit.sha,
            authored_at=commit.authored_at,
            committed_at=commit.committed_at,
            message=commit.message,
            author=identities_of(email=commit.email),
            files=commit.files,
            branches=(branch,) if branch else (),
            attested=tuple(sorted(attested_sessions(commit.note))),
            author_name=commit.name or None,
        )

    def _person(self, commit: LoggedCommit) -> Iterator[PersonRecord]:
        """The author, when an address is seen for the first time."""
        identities = identities_of(email=commit.email)
        if identities and commit.email.lower() not in self.people:
            self.people.add(commit.email.lower())
            bot = any(identity.kind == "login" and identity.value.endswith("[bot]") for identity in identities)
            yield PersonRecord(identities, commit.name or None, bot or commit.name.endswith("[bot]"))


def merged_pull(message: str) -> _Merged | None:
    """What GitHub's merge button wrote: `Merge pull request #7 from owner/branch`, or a title that ends in `(#7)`."""
    subject, _, rest = message.partition("\n")
    rest = rest.strip()
    if match := _MERGE.match(subject.strip()):
        title, _, body = rest.partition("\n")
        return _Merged(int(match[1]), title.strip() or match[2], body.strip() or None, match[2])
    if match := _NUMBERED.match(subject.strip()):
        return _Merged(int(match[2]), match[1], rest or None, None)
    return None


def _steps(graph: dict[str, tuple[str, ...]]) -> list[tuple[str, list[str]]]:
    """Each commit of the first-parent line, oldest first, with the commits that it brought in, parents first.

    The graph is by commit, newest first, as `read_graph` gives it. What an older step brought in is not brought in
    again, so the side of a merge is what git calls `first..second`.
    """
    line = []
    at = next(iter(graph), None)
    while at is not None and at in graph:
        line.append(at)
        at = next(iter(graph[at]), None)
    line.reverse()
    step_of = {sha: sha for sha in line}
    sides: dict[str, list[str]] = {sha: [] for sha in line}
    for step in line:
        waiting = list(graph[step][1:])
        while waiting:
            sha = waiting.pop()
            if sha in graph and sha not in step_of:
                step_of[sha] = step
                waiting.extend(graph[sha])
    for sha in reversed(graph):
        if step_of[sha] != sha:
            sides[step_of[sha]].append(sha)
    return list(sides.items())
