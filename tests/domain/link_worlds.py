"""Random facts of one small repository, with few values for each field, so that they meet each other often."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from costlens.domain.links import CommitFact, ManualDecision, PullFact, RepositoryFacts, RunFact
from tests.domain.link_facts import ALICE, BOB, HOUR, NOON, a_pull, a_run

World = tuple[list[RunFact], RepositoryFacts, list[ManualDecision]]

# Most within some hours, the rest on either side of the rules' windows of a day and of a week.
_near = st.integers(-6, 6)
_moments = st.one_of(_near, _near, _near, st.integers(-48, 48), st.integers(-200, 200)).map(
    lambda hours: NOON + hours * HOUR
)
_people = st.sampled_from((*[ALICE] * 4, BOB, None))
_files = st.frozensets(st.sampled_from(("a.py", "b.py", "c.py")), max_size=2)
_heads = st.sampled_from(("main", "x", "x", "y"))
_names = st.sampled_from(("main", "x", "x", "y", "z"))
_branches = st.sampled_from((*[frozenset[str]()] * 2, frozenset({"main"}), frozenset({"y"}), *[frozenset({"z"})] * 2))
_sessions = st.sampled_from((*[frozenset[str]()] * 6, frozenset({"s1"}), frozenset({"s2"})))
_keys = st.sampled_from((*[frozenset[str]()] * 6, frozenset({"run_1"}), frozenset({"run_2"})))
_prompts = st.sampled_from((*[frozenset[str]()] * 4, frozenset({"p1"}), frozenset({"p2"})))
_shas = st.sampled_from([f"c{n}" for n in range(10)])


@st.composite
def runs(draw: st.DrawFn, number: int, named: bool) -> RunFact:
    """A run; most name a repository and are code. `named`: it may name its commit or pull request."""
    return a_run(
        number,
        draw(_moments),
        person_id=draw(_people),
        branch=draw(_names),
        session_id=draw(st.sampled_from(("s1", "s1", "s2", None))),
        commit_sha=draw(st.none() | _shas) if named else None,
        commit_is_result=draw(st.booleans()),
        pr_number=draw(st.sampled_from((*[None] * 4, 1, 2, 9))) if named else None,
        files=draw(_files),
        prompt_id=draw(st.sampled_from(("p1", "p2", None))),
        has_repository=draw(st.integers(0, 5)) > 0,
        code=draw(st.integers(0, 7)) > 0,
    )


@st.composite
def commits(draw: st.DrawFn, named: bool) -> CommitFact:
    """A commit. `named`: it may have trailers."""
    at, who, files, branches = draw(_moments), draw(_people), draw(_files), draw(_branches)
    trailers = (draw(_keys), draw(_sessions), draw(_prompts)) if named else ()
    return CommitFact(draw(_shas), who, at, at, files, branches, *trailers)


@st.composite
def pulls(draw: st.DrawFn, number: int, named: bool) -> PullFact:
    """A pull request with up to three commits. `named`: its body may name runs and sessions."""
    merged = draw(st.none() | _moments)
    own = tuple(draw(st.lists(commits(named), max_size=3, unique_by=lambda commit: commit.sha)))
    return replace(
        a_pull(number, head_ref=draw(_heads), merged_at=merged, closed_at=merged, person_id=draw(_people)),
        created_at=draw(_moments),
        commits=own,
        run_keys=draw(_keys) if named else frozenset(),
        sessions=draw(_sessions) if named else frozenset(),
        merge_commit_sha=draw(st.none() | _shas),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Runs, the repository's facts, and people's decisions; in half of them nothing is named outright."""
    named = draw(st.booleans())
    own = [draw(runs(number, named)) for number in range(1, draw(st.integers(1, 8)) + 1)]
    of_pulls = tuple(draw(pulls(number, named)) for number in range(1, draw(st.integers(0, 3)) + 1))
    outside = draw(st.lists(commits(named), max_size=4, unique_by=lambda commit: commit.sha))
    held = [commit for pull in of_pulls for commit in pull.commits]
    if held and draw(st.booleans()):
        outside.append(replace(draw(st.sampled_from(held)), sha="copy", branches=draw(_branches)))
    decisions = draw(
        st.lists(
            st.builds(ManualDecision, st.integers(1, 8), st.integers(101, 103), st.booleans(), st.just("alice")),
            max_size=2,
            unique_by=lambda decision: (decision.run_id, decision.pull_request_id),
        )
    )
    return own, RepositoryFacts("main", of_pulls, tuple(outside)), decisions


@st.composite
def changes(draw: st.DrawFn, facts: RepositoryFacts) -> RepositoryFacts:
    """The facts after one pull request or commit has come, changed or moved."""
    named = draw(st.booleans())
    kind = draw(st.sampled_from(("pull", "pull", "commit", "ended", "without")))
    of_pulls, outside = {pull.number: pull for pull in facts.pulls}, {commit.sha: commit for commit in facts.commits}
    if kind == "commit":
        commit = draw(commits(named))
        outside[commit.sha] = commit
    elif kind == "pull" or not of_pulls:
        number = draw(st.integers(1, 4))
        of_pulls[number] = draw(pulls(number, named))
    else:
        pull = of_pulls[draw(st.sampled_from(sorted(of_pulls)))]
        end = draw(st.none() | _moments)
        # Its commits stay what they are; a branch that was rewritten leaves some of them behind.
        ended = replace(pull, merged_at=end, closed_at=end, merge_commit_sha=draw(st.none() | _shas))
        of_pulls[pull.number] = ended if kind == "ended" else replace(pull, commits=pull.commits[1:])
        if kind == "without":
            outside |= {commit.sha: commit for commit in pull.commits[:1]}
    return RepositoryFacts("main", tuple(of_pulls.values()), tuple(outside.values()))
