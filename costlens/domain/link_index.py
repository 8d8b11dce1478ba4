"""Look-up tables over the facts of one repository, so that each rule costs one dictionary access per run."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.link_rules import AFTER_CLOSE, BEFORE_FIRST_COMMIT, Target
from costlens.domain.links import CommitFact, PullFact, RepositoryFacts

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PullEntry:
    """A pull request with what the branch rules ask of it. `authors` holds known people only."""

    pull: PullFact
    authors: frozenset[int]
    all_authors_known: bool
    opens: datetime
    closes: datetime
    commits: tuple[CommitFact, ...]  # by author time
    times: tuple[datetime, ...]  # their author times
    last_of: Mapping[int, datetime]  # by known author: when they last wrote or amended a commit of it


@dataclass(frozen=True, slots=True)
class Timeline:
    """One person's commits by author time, in parallel sequences for bisection."""

    times: Sequence[datetime]
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True)
class Index:
    """The facts of one repository by every key that a rule looks up."""

    default_branches: frozenset[str]
    by_id: Mapping[int, PullEntry]
    by_number: Mapping[int, PullFact]
    by_head: Mapping[str, Sequence[PullEntry]]
    by_sha: Mapping[str, Sequence[Target]]
    by_run_key: Mapping[str, Sequence[Target]]
    by_session: Mapping[str, Sequence[Target]]  # commits, by author time
    by_attested: Mapping[str, Sequence[Target]]  # the same, by the sessions of git-ai notes
    bodies_by_session: Mapping[str, Sequence[PullEntry]]
    by_prompt: Mapping[tuple[int, str], Sequence[Target]]  # (author, prompt) → commits, by author time
    timelines: Mapping[int, Timeline]
    outside_branches: frozenset[str]  # branches that hold commits outside any pull request


def build_index(facts: RepositoryFacts) -> Index:
    """Index the facts; the result does not depend on the order in which they come."""
    pulls = sorted(facts.pulls, key=lambda pull: (pull.number, pull.id))
    entries = [pull_entry(pull) for pull in pulls]
    targets = targets_of(facts)
    by_head: dict[str, list[PullEntry]] = defaultdict(list)
    by_sha: dict[str, list[Target]] = defaultdict(list)
    by_run_key: dict[str, list[Target]] = defaultdict(list)
    by_session: dict[str, list[Target]] = defaultdict(list)
    by_attested: dict[str, list[Target]] = defaultdict(list)
    bodies: dict[str, list[PullEntry]] = defaultdict(list)
    by_prompt: dict[tuple[int, str], list[Target]] = defaultdict(list)
    of_person: dict[int, list[Target]] = defaultdict(list)
    defaults = default_branches(facts.default_branch)
    for commit, target in targets:
        by_sha[commit.sha].append(target)
        for key in commit.run_keys:
            by_run_key[key].append(target)
        for session in commit.sessions:
            by_session[session].append(target)
        for session in commit.attested:
            by_attested[session].append(target)
        if commit.person_id is not None and not _is_merge(target):
            of_person[commit.person_id].append(target)
            for prompt in commit.prompts:
                by_prompt[commit.person_id, prompt].append(target)
    for entry in entries:
        pull = entry.pull
        if pull.head_ref and pull.head_ref not in defaults:
            by_head[pull.head_ref].append(entry)
        for key in pull.run_keys:
            by_run_key[key].append(Target(pull, None))
        for session in pull.sessions:
            bodies[session].append(entry)
        if pull.merge_commit_sha and pull.merge_commit_sha not in by_sha:
            by_sha[pull.merge_commit_sha].append(Target(pull, None))
    outside = {branch for commit, target in targets if target.pull is None for branch in commit.branches}
    return Index(
        default_branches=defaults,
        by_id={entry.pull.id: entry for entry in entries},
        by_number={pull.number: pull for pull in pulls},
        by_head=by_head,
        by_sha=by_sha,
        by_run_key=by_run_key,
        by_session=by_session,
        by_attested=by_attested,
        bodies_by_session=bodies,
        by_prompt=by_prompt,
        timelines={
            person: Timeline([target.commit.authored_at for target in own if target.commit], own)
            for person, own in of_person.items()
        },
        outside_branches=frozenset(outside),
    )


def default_branches(name: str | None) -> frozenset[str]:
    """The branches that are taken for the default one, whose name may be unknown."""
    return frozenset({name} if name else {"main", "master"})


def next_commits(timeline: Timeline, moment: datetime) -> Sequence[Target]:
    """The person's first commit at or after the moment: one target per pull request that holds it; empty if none."""
    first = bisect_left(timeline.times, moment)
    last = first
    while last < len(timeline.times) and timeline.times[last] == timeline.times[first]:
        last += 1
    return timeline.targets[first:last]


def targets_of(facts: RepositoryFacts) -> list[tuple[CommitFact, Target]]:
    """Each commit with where it belongs, by author time.

    A commit outside is given to a pull request when it is its merge commit, or a copy of one of its commits that a
    rebase or cherry-pick made (same person and author date: both survive a rewrite), or else, orphaned, when the
    pull request held it before a force-push.
    """
    pulls = sorted(facts.pulls, key=lambda pull: (pull.number, pull.id))
    held = [(commit, Target(pull, commit)) for pull in pulls for commit in pull.commits]
    shas = {commit.sha for commit, _ in held}
    merged = {pull.merge_commit_sha: pull for pull in pulls if pull.merge_commit_sha}
    copies: dict[tuple[int | None, datetime], PullFact | None] = {
        (commit.person_id, commit.authored_at): target.pull for commit, target in held if commit.person_id is not None
    }
    former = {sha: pull for pull in reversed(pulls) for sha in pull.former}
    for commit in facts.commits:
        if commit.sha not in shas:
            owner = merged.get(commit.sha) or copies.get((commit.person_id, commit.authored_at))
            once = None if owner else former.get(commit.sha)
            held.append((commit, Target(owner or once, commit, orphaned=once is not None)))
    held.sort(key=lambda item: (item[0].authored_at, item[0].sha, item[1].pull.number if item[1].pull else 0))
    return held


def _is_merge(target: Target) -> bool:
    """Whether the commit only merged what other known commits hold: whoever pressed the button wrote nothing."""
    pull, commit = target.pull, target.commit
    return bool(pull and commit and pull.commits and commit.sha == pull.merge_commit_sha and commit not in pull.commits)


def authors_of(commit: CommitFact) -> frozenset[int]:
    """The known people who wrote a commit: its author, and those whom it names beside."""
    return commit.co_authors if commit.person_id is None else commit.co_authors | {commit.person_id}


def first_merged(targets: Iterable[Target]) -> list[Target]:
    """Of a commit that several pull requests hold, as in a stack, those that brought it in first."""
    own = list(targets)
    first: dict[str | None, datetime] = {}
    for target in own:
        sha = target.commit.sha if target.commit else None
        first[sha] = min(first.get(sha, FOREVER), _merged(target))
    return [one for one in own if one.commit is None or _merged(one) == first[one.commit.sha]]


def _merged(target: Target) -> datetime:
    return (target.pull.merged_at if target.pull else None) or FOREVER


def pull_entry(pull: PullFact) -> PullEntry:
    """A pull request as the branch rules see it."""
    commits = tuple(sorted(pull.commits, key=lambda commit: (commit.authored_at, commit.sha)))
    people: set[int | None] = {commit.person_id for commit in commits} or {pull.person_id}
    people |= {person for commit in commits for person in commit.co_authors}
    first = commits[0].authored_at if commits else pull.created_at
    end = pull.merged_at or pull.closed_at
    last_of: dict[int, datetime] = {}
    for commit in commits:
        for person in authors_of(commit):
            at = max(commit.authored_at, commit.committed_at)
            last_of[person] = max(at, last_of.get(person, at))
    return PullEntry(
        pull=pull,
        authors=frozenset(person for person in people if person is not None),
        all_authors_known=None not in people,
        opens=first - BEFORE_FIRST_COMMIT,
        closes=end + AFTER_CLOSE if end else FOREVER,
        commits=commits,
        times=tuple(commit.authored_at for commit in commits),
        last_of=last_of,
    )
