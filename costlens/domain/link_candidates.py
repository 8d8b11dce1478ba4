"""What each rule proposes for one run. Nothing here weighs one proposal against another."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from costlens.domain.link_index import Index, PullEntry, authors_of, first_merged, next_commits
from costlens.domain.link_rules import (
    NEXT_COMMIT,
    NEXT_COMMIT_LATE,
    PROMPT_TRAILER,
    SESSION_FILES,
    TRAILER_SLACK,
    Candidate,
    Target,
    seconds_to,
)
from costlens.domain.links import CommitFact, RunFact


def explicit(run: RunFact, index: Index) -> list[Candidate]:
    """X1, X2 and X3: the run and the target name each other by an id."""
    found: list[Candidate] = []
    for key in sorted(run.keys & index.by_run_key.keys()) if run.keys else ():
        for target in first_merged(index.by_run_key[key]):
            field = "commit trailer" if target.commit else "pull request body"
            found.append(Candidate("X1", target, "id", field, key, seconds_to(run, target.commit)))
    if not run.has_repository:
        return found
    if run.pr_number is not None and (pull := index.by_number.get(run.pr_number)):
        found.append(Candidate("X2", Target(pull, None), "prNumber", "number", str(run.pr_number)))
    if run.commit_sha and run.commit_is_result:
        found.extend(
            Candidate("X3", target, "commitSha", "sha", run.commit_sha, seconds_to(run, target.commit))
            for target in first_merged(index.by_sha.get(run.commit_sha, ()))
        )
    return found


def session_trailers(run: RunFact, index: Index) -> list[Candidate]:
    """S1 and S2: the first commit after the run whose trailer, or git-ai note, names its session.

    Where no trailer does, a pull request body may.
    """
    if not run.session_id:
        return []
    in_trailers = _of_session("S1", "commit trailer", run, run.session_id, index.by_session)
    found = [*in_trailers, *_of_session("S2", "git-ai note", run, run.session_id, index.by_attested)]
    return found or [
        Candidate("S1", Target(entry.pull, None), "sessionId", "pull request body", run.session_id)
        for entry in index.bodies_by_session.get(run.session_id, ())
        if run.occurred_at <= entry.closes
    ]


def _of_session(
    rule: str, field: str, run: RunFact, session: str, by_session: Mapping[str, Sequence[Target]]
) -> list[Candidate]:
    if not (named := by_session.get(session)):
        return []
    earliest = run.occurred_at - TRAILER_SLACK
    # An amended commit keeps its author time, so the commit time is asked where no author time fits.
    first = min((at for at, _ in _authored(named) if at >= earliest), default=None)
    fitting = [target for at, target in _authored(named) if at == first]
    if not fitting:
        fitting = [target for target in named if target.commit and target.commit.committed_at >= earliest]
    return [Candidate(rule, target, "sessionId", field, session, seconds_to(run, target.commit)) for target in fitting]


def branches(run: RunFact, index: Index) -> list[Candidate]:
    """B1, B2 and B3: the run's branch is the head of a pull request, told apart by whose work it is."""
    if not run.branch or not run.has_repository:
        return []
    found = []
    for entry in index.by_head.get(run.branch, ()):
        if not entry.opens <= run.occurred_at <= entry.closes:
            continue
        if run.person_id is None:
            rule = "B3"
        elif run.person_id in entry.authors:
            if _moved_on(run.person_id, run.occurred_at, entry, index):
                continue
            rule = "B1"
        elif entry.all_authors_known:
            rule = "B2"
        else:
            continue  # an author that nobody knows may be this person
        commit = _next_of(entry, run.occurred_at, run.person_id if rule == "B1" else None)
        found.append(
            Candidate(
                rule,
                Target(entry.pull, commit),
                "branch",
                "headRef",
                run.branch,
                seconds_to(run, commit),
                same_person=rule == "B1",
            )
        )
    return found


def _moved_on(person: int, moment: datetime, entry: PullEntry, index: Index) -> bool:
    """Whether the person has committed to the pull request for the last time and next, within a day, elsewhere.

    A run shows in the commit that follows it: work after the last one, on a branch not switched yet, went elsewhere.
    """
    if moment <= entry.last_of.get(person, moment) or (timeline := index.timelines.get(person)) is None:
        return False
    following = next_commits(timeline, moment)
    if not following or any(target.pull is entry.pull for target in following):
        return False
    return timeline.times[bisect_left(timeline.times, moment)] - moment <= NEXT_COMMIT_LATE


def head_before(run: RunFact, index: Index) -> list[Candidate]:
    """D1: the run started from a commit that exactly one open pull request of the person holds."""
    if not run.has_repository or not run.commit_sha or run.commit_is_result or run.person_id is None:
        return []
    pulls = {
        target.pull.id: target
        for target in index.by_sha.get(run.commit_sha, ())
        if target.pull and not target.pull.closed_at and not target.pull.merged_at
    }
    own = [target for pull, target in pulls.items() if run.person_id in index.by_id[pull].authors]
    if len(own) != 1:
        return []
    delta = seconds_to(run, own[0].commit)
    return [Candidate("D1", own[0], "commitSha", "commit", run.commit_sha, delta, same_person=True)]


def prompt_trailers(run: RunFact, index: Index) -> list[Candidate]:
    """P1: the person's first commit after the run, within a week, whose trailer names the run's prompt.

    Many runs share a prompt, so it proves nothing of another person's commit, nor of a later one.
    """
    if not run.has_repository or run.prompt_id is None or run.person_id is None:
        return []
    named = _authored(index.by_prompt.get((run.person_id, run.prompt_id), ()))
    first = min((at for at, _ in named if at >= run.occurred_at), default=None)
    if first is None or first - run.occurred_at > PROMPT_TRAILER:
        return []
    return [
        Candidate(
            "P1",
            target,
            "promptId",
            "commit trailer",
            run.prompt_id,
            seconds_to(run, target.commit),
            same_person=True,
        )
        for at, target in named
        if at == first
    ]


def following_commit(run: RunFact, index: Index, session_files: Mapping[str, Sequence[datetime]]) -> list[Candidate]:
    """T1, T2 and T3: the person's next commit, weighed by how soon it came and by the files it shares.

    The files are those of the run or, where it names none that the commit changed, of the runs of its session around
    it: `session_files` says when they named each file, in order.
    """
    if not run.has_repository or run.person_id is None or (timeline := index.timelines.get(run.person_id)) is None:
        return []
    found = []
    for target in next_commits(timeline, run.occurred_at):
        if (commit := target.commit) is None:
            continue
        lag = commit.authored_at - run.occurred_at
        if lag > NEXT_COMMIT_LATE:
            continue
        shared = commit.files & run.files or _named_around(run.occurred_at, commit.files, session_files)
        rules = ["T2"] if shared else ["T3"] if lag <= NEXT_COMMIT else []
        if shared and lag <= NEXT_COMMIT and run.branch in index.default_branches:
            rules.insert(0, "T1")
        found += [
            Candidate(
                rule,
                target,
                "files" if shared else "timestamp",
                "commit",
                commit.sha,
                seconds_to(run, commit),
                files=shared,
                same_person=True,
            )
            for rule in rules
        ]
    return found


def _named_around(moment: datetime, files: frozenset[str], named: Mapping[str, Sequence[datetime]]) -> frozenset[str]:
    """Those of the files that were named not too long before or after a moment."""
    if not named:
        return frozenset()
    found = set()
    for name in files & named.keys():
        place = bisect_left(named[name], moment - SESSION_FILES)
        if place < len(named[name]) and named[name][place] <= moment + SESSION_FILES:
            found.add(name)
    return frozenset(found)


def _authored(targets: Iterable[Target]) -> list[tuple[datetime, Target]]:
    return [(target.commit.authored_at, target) for target in targets if target.commit]


def _next_of(entry: PullEntry, moment: datetime, person: int | None) -> CommitFact | None:
    """The commit the run most likely went into: the first one after it, else the last; of the person if given."""
    place = bisect_left(entry.times, moment)
    later: Sequence[CommitFact] = entry.commits[place:]
    earlier = entry.commits[:place]
    for commit in (*later, *reversed(earlier)):
        if person is None or person in authors_of(commit):
            return commit
    return None
