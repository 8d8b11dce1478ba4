"""The linking rules by name: their confidence, their order, their time windows, and a candidate that one proposes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from costlens.domain.links import CommitFact, PullFact, Ruleset, RunFact

RULESET_V1 = Ruleset(
    version=1,
    confidence=MappingProxyType(
        {
            "M1": 1000,  # a person's word
            "X1": 1000,  # id of the run in a commit trailer or pull request body
            "X2": 1000,  # pull request number
            "X3": 1000,  # the run says that it made this commit
            "S1": 980,  # session trailer
            "S2": 980,  # git-ai note that attests lines of the session
            "B1": 900,  # branch of the pull request, same author
            "C1": 850,  # neighbour in the same session
            "T1": 800,  # default branch, next commit within two hours, same files
            "B3": 850,  # branch of the pull request, person of the run unknown
            "P1": 800,  # trailer names the prompt, same author within a week
            "D1": 750,  # started from a commit of one open pull request
            "T2": 450,  # next commit within a day, same files
            "T3": 150,  # next commit within two hours, other files
            "B2": 50,  # branch of another person: evidence against the link
        }
    ),
)

# The second key of the tie-break: the earlier rule wins among equal confidences.
RULE_ORDER = {name: place for place, name in enumerate(RULESET_V1.confidence)}
EXPLICIT = frozenset({"M1", "X1", "X2", "X3"})  # only these may split a run between pull requests

BEFORE_FIRST_COMMIT = timedelta(days=7)
AFTER_CLOSE = timedelta(hours=1)
TRAILER_SLACK = timedelta(minutes=5)
NEIGHBOUR = timedelta(hours=4)
PROMPT_TRAILER = timedelta(days=7)
NEXT_COMMIT = timedelta(hours=2)
NEXT_COMMIT_LATE = timedelta(hours=24)
SESSION_FILES = timedelta(hours=24)  # how far a session's runs lend each other the files that they named

_NO_FILES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """What a run may be linked to: a pull request, one commit of it, or a commit outside any."""

    pull: PullFact | None
    commit: CommitFact | None
    orphaned: bool = False  # the pull request held the commit once; a force-push left it out

    @property
    def key(self) -> tuple[int | None, str | None]:
        """Identity of the link's target: all commits of one pull request are the same target."""
        return (self.pull.id, None) if self.pull else (None, self.commit.sha if self.commit else None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One rule's proposal for one run. `delta` is the target's time minus the run's, in seconds (None: no time)."""

    rule: str
    target: Target
    run_field: str
    target_field: str
    matched: str
    delta: int | None = None
    files: frozenset[str] = _NO_FILES
    same_person: bool = False


def seconds_to(run: RunFact, commit: CommitFact | None) -> int | None:
    """Whole seconds from the run to the commit; negative when the commit came first."""
    return None if commit is None else round((commit.authored_at - run.occurred_at).total_seconds())
