"""A history for each way in which work reaches the default branch, and for each trap; with the links it must have.

Each has a repository of its own. Times are hours; the records of a step come in together, one step after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from costlens.domain.github import CommitRecord, PersonRecord, PullRecord
from costlens.domain.names import identities_of
from costlens.domain.trailers import SESSION_KEYS
from tests.services.ledger import NOW, a_commit, a_pull

DAY = 24
PENDING = ("pending", None)
REJECTED = ("unlinked", "rejected")

Target = int | str | None  # number of a pull request, or sha of a commit outside all of them
Expected = Sequence[tuple[Target, str]] | tuple[str, str | None]  # (target, rule) of each link; or state and reason


@dataclass(frozen=True, slots=True)
class Run:
    """A run with what it names, when it was, and what it must be linked to."""

    name: str
    hour: float
    expected: Expected
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    name: str
    steps: Sequence[Sequence[CommitRecord | PullRecord | PersonRecord]]
    runs: Sequence[Run]
    outcomes: Mapping[int, str] = field(default_factory=dict)  # where they matter


def at(hour: float) -> datetime:
    return NOW - timedelta(hours=2 * DAY - hour)


def sha(name: str) -> str:
    """A full sha that begins with these letters."""
    return name.encode().hex().ljust(40, "0")


def commit(name: str, hour: float, who: str = "alice", message: str = "", **values: Any) -> CommitRecord:
    return a_commit(sha(name), at(hour), who=who, message=message or f"Change {name}", **values)


def pull(number: int, *commits: CommitRecord, merged: float | None = None, **values: Any) -> PullRecord:
    end = None if merged is None else at(merged)
    return replace(a_pull(number, *commits), **({"merged_at": end, "closed_at": end} | values))


def run(name: str, hour: float, expected: Expected, actor: str | None = "alice", **values: Any) -> Run:
    return Run(name, hour, expected, {"actor": actor} | values)


def result(name: str, of: str, expected: Expected) -> Run:
    """A run that says which commit it made."""
    return run(name, 1, expected, commit_sha=sha(of), commit_role="result")


ONE, TWO = commit("1", 2), commit("2", 3)
SQUASHED = commit("s", 5, message="Pull 1 (#1)")
AMENDED = replace(commit("1b", 2), committed_at=at(4))
WITH_SESSION = commit("1", 2, message="Change\n\nCostLens-Session: s1")
BOTS = identities_of(login="dependabot[bot]", github_id=49699333)
BOT = replace(commit("1", 2, message="Bump a\n\nSigned-off-by: dependabot[bot] <support@github.com>"), author=BOTS)
BOTH = "Pair\n\nCo-authored-by: Bob <bob@example.com>\nCo-authored-by: Claude <noreply@anthropic.com>"
ON_ONE = {"branch": "feature/1"}

HISTORIES = (
    History(
        "a merge commit",
        [[pull(1, ONE, TWO, merged=5, merge_commit_sha=sha("m")), commit("m", 5, "bob", files=("a.py",))]],
        [
            run("on its branch", 1, [(1, "B1")], **ON_ONE),
            result("made a commit", "1", [(1, "X3")]),
            # Whoever pressed the button wrote nothing.
            run("of who merged it", 4.5, PENDING, "bob", branch="main", files=("a.py",)),
        ],
        {1: "merged"},
    ),
    History(
        "a squash",
        [[pull(1, ONE, TWO, merged=5, merge_commit_sha=sha("s")), SQUASHED]],
        [
            run("on its branch", 1, [(1, "B1")], **ON_ONE),
            result("made the squash", "s", [(1, "X3")]),
            result("made what it was squashed from", "2", [(1, "X3")]),
        ],
    ),
    History(
        "a squash that only its title tells",
        [
            [commit("i", -3, message="Close the issue (#1)"), pull(1, ONE, merged=5)],
            [SQUASHED, commit("b", 30, message="Pull 1 (#1)")],  # and a cherry-pick of it, a day later
        ],
        [
            result("made the squash", "s", [(1, "X3")]),
            result("made a commit that names an issue", "i", [(sha("i"), "X3")]),
            result("made the cherry-pick", "b", [(sha("b"), "X3")]),
        ],
    ),
    History(
        "a rebase",
        [
            [pull(1, ONE, TWO, merged=5, merge_commit_sha=sha("r2"))],
            [replace(one, sha=sha(name), committed_at=at(5)) for one, name in ((ONE, "r1"), (TWO, "r2"))],
        ],
        [
            result("made the first copy", "r1", [(1, "X3")]),
            result("made the last copy", "r2", [(1, "X3")]),
            run("on its branch", 1, [(1, "B1")], **ON_ONE),
        ],
    ),
    History(
        "an amended commit",
        [[pull(1, ONE)], [pull(1, AMENDED, merged=5)]],
        [
            result("made it at first", "1", [(1, "X3")]),
            result("made it at last", "1b", [(1, "X3")]),
            run("between the two", 3, [(1, "B1")], **ON_ONE),
        ],
    ),
    History(
        "a session in an amended commit",
        [[pull(1, replace(WITH_SESSION, committed_at=at(4)), merged=5)]],
        [
            run("before the commit", 1, [(1, "S1")], session_id="s1"),
            run("before it was amended", 3, [(1, "S1")], session_id="s1"),
            run("long afterwards", 8, PENDING, session_id="s1"),
        ],
    ),
    History(
        "a force-push that leaves a commit out",
        [[pull(1, WITH_SESSION)], [pull(1, commit("n", 4, message="Anew"), merged=5)]],
        [
            result("made it", "1", [(1, "X3")]),
            run("of its session", 1, [(1, "S1")], session_id="s1"),
            run("on its branch", 1, [(1, "B1")], **ON_ONE),
        ],
    ),
    History(
        "reverts",
        [
            [pull(n, commit(f"{n}", 2 + n / 10), merged=5, merge_commit_sha=sha(f"m{n}")) for n in (1, 2, 3, 4)],
            [
                pull(11, commit("11", 7), merged=8, body="Reverts #1"),
                commit("12", 8, message=f'Revert "Pull 2"\n\nThis reverts commit {sha("m2")}.'),
                pull(13, commit("13", 7.5), merged=8, head_ref="revert-3-feature/3"),
                pull(14, commit("14", 7.7), merged=8, body="Reverts #4"),
            ],
            [pull(15, commit("15", 9), merged=10, body="Reverts #14")],
        ],
        [run(f"of {n}", 1, [(n, "B1")], branch=f"feature/{n}") for n in (1, 2, 3, 4)],
        {1: "reverted", 2: "reverted", 3: "reverted", 4: "merged", 14: "merged", 15: "merged"},
    ),
    History(
        "forks",
        [
            [
                pull(1, commit("1", 2, "charlie", files=("a.py",)), merged=5, head_ref="main"),
                pull(2, commit("2", 12, "charlie"), merged=15, head_ref=None),
                pull(3, commit("3", 22, "charlie"), merged=25, head_ref="patch-1"),
            ]
        ],
        [
            run("on our own main", 1, PENDING, branch="main"),
            run("on the fork's main", 1, [(1, "T1")], "charlie", branch="main", files=("a.py",)),
            run("that knows its number", 11, [(2, "X2")], "charlie", pr_number=2),
            run("on our branch of that name", 21, REJECTED, branch="patch-1"),
        ],
    ),
    History(
        "bots",
        [[PersonRecord(BOTS, bot=True), pull(1, BOT, merged=5, head_ref="dependabot/npm/a", author=BOTS)]],
        [run("of a person on its branch", 1, REJECTED, branch="dependabot/npm/a")],
    ),
    History(
        "co-authors",
        [[pull(1, commit("1", 2, message=BOTH), merged=5)]],
        [
            run("of the author", 1, [(1, "B1")], **ON_ONE),
            run("of the other author", 1, [(1, "B1")], "bob", **ON_ONE),
            run("of somebody else", 1, REJECTED, "charlie", **ON_ONE),
        ],
    ),
    History(
        "session trailers of every agent",
        [
            [
                pull(1, commit("0", 1), merged=40),
                *(
                    commit(f"c{n}", 2 + n, message=f"Change\n\n{key}: https://example.com/t/{key}-1?view=all")
                    for n, key in enumerate(SESSION_KEYS)
                ),
            ]
        ],
        [
            run(key, 1, [(sha(f"c{n}"), "S1")], None, session_id=f"{key}-1", branch="elsewhere")
            for n, key in enumerate(SESSION_KEYS)
        ],
    ),
    History(
        "trailers in a description",
        [
            [pull(1, ONE, merged=5, body="What and why.\n\n<!-- CostLens-Run: r-1, r-2 -->")],
            [pull(2, TWO, merged=5, body="- CostLens-Session: `s1`\n- more")],
        ],
        [
            run("by its id", 1, [(1, "X1")], None, request_id="r-1"),
            run("by another id", 1, [(1, "X1")], None, correlation_id="r-2"),
            run("by its session", 1, [(2, "S1")], None, session_id="s1"),
        ],
    ),
    History(
        "a note of git-ai",
        [[pull(1, replace(ONE, attested=("s1",)), merged=5)]],
        [
            run("of its session", 1, [(1, "S2")], "bob", session_id="s1"),
            run("of its session, long afterwards", 8, PENDING, "bob", session_id="s1"),
        ],
    ),
    History(
        "several pull requests on one branch",
        [
            [pull(1, commit("1", 2), merged=5, head_ref="dev")],
            [pull(2, commit("2", 8), merged=10, head_ref="dev")],
        ],
        [
            run("before the first commit", 1, [(1, "B1")], branch="dev"),
            run("after the first was merged", 7, [(2, "B1")], branch="dev"),
        ],
    ),
    History(
        "closed and opened again",
        [[pull(1, ONE)], [pull(1, ONE, closed_at=at(3))], [pull(1, ONE, commit("3", 6))], [pull(1, ONE, merged=8)]],
        [run("while it was closed", 5, [(1, "B1")], **ON_ONE)],
        {1: "merged"},
    ),
    History(
        "work on the default branch",
        [[pull(1, commit("1", 2, files=("a.py", "b.py")), merged=5), commit("d", 2, "bob", files=("c.py",))]],
        [
            run("that a branch came of", 1, [(1, "T1")], branch="main", files=("a.py",)),
            run("that was pushed as it was", 1, [(sha("d"), "T1")], "bob", branch="main", files=("c.py",)),
            run("far from any commit", -40, PENDING, "bob", branch="main", files=("c.py",)),
        ],
    ),
    History(
        "a session over several pull requests",
        [[pull(1, commit("1", 1.5), merged=9), pull(2, commit("2", 3.5), merged=9)]],
        [
            run("on the first", 1, [(1, "B1")], session_id="s1", **ON_ONE),
            run("between them", 2.9, [(2, "C1")], session_id="s1", branch="main"),
            run("on the second", 3, [(2, "B1")], session_id="s1", branch="feature/2"),
            run("long afterwards", 12, PENDING, session_id="s1", branch="main"),
        ],
    ),
    History(
        "persons that nobody knows",
        [[pull(1, ONE, merged=5), replace(pull(2, replace(TWO, author=()), merged=5), author=())]],
        [
            run("of a shared key", 1, [(1, "B3")], None, **ON_ONE),
            run("of one where an author is unknown", 4, PENDING, branch="feature/2"),
            run("of a shared key, long ago", -40 * DAY, ("unlinked", "no_person"), None, branch="main"),
        ],
    ),
    History(
        "a branch that was renamed",
        [[pull(1, commit("1", 3), merged=5)]],
        [
            run("under its first name", 1, [(1, "C1")], session_id="s1", branch="wip"),
            run("under its last name", 2, [(1, "B1")], session_id="s1", **ON_ONE),
        ],
    ),
    History(
        "a stack",
        [
            [pull(1, ONE), pull(2, TWO, base_ref="feature/1")],
            # The base is squashed, so the upper one shows its commit too, until that is rebased.
            [pull(1, ONE, merged=5, merge_commit_sha=sha("s")), SQUASHED, pull(2, ONE, TWO)],
            [pull(2, ONE, TWO, merged=8)],
        ],
        [
            run("on the base", 1, [(1, "B1")], **ON_ONE),
            run("on top", 2.5, [(2, "B1")], branch="feature/2"),
            result("made the base", "1", [(1, "X3")]),
            result("made the top", "2", [(2, "X3")]),
        ],
    ),
    History(
        "thirty days",
        [[pull(1, ONE, merged=5)]],
        [
            run("almost", -28 * DAY + 1 + 1 / 60, PENDING, branch="main"),
            run("just so", -28 * DAY + 1, ("unlinked", "no_candidate"), branch="main"),
            run("that names what is not known", 1, PENDING, pr_number=99, **ON_ONE),
        ],
    ),
    History(
        "several explicit ids",
        [[pull(1, ONE, merged=5, body="CostLens-Run: both"), pull(2, TWO, merged=6, body="CostLens-Run: both")]],
        [run("of two", 1, [(1, "X1"), (2, "X1")], request_id="both")],
    ),
)
