"""What a link is: the facts it is made from, and the decision that comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class LinkState(StrEnum):
    """The bucket of a run's money; each nano-dollar is in exactly one."""

    COUNTED = "counted"
    SUGGESTED = "suggested"
    PENDING = "pending"
    UNLINKED = "unlinked"
    NOT_CODE = "not_code"  # production traffic: never inside code spend


class UnlinkedReason(StrEnum):
    NO_REPO = "no_repo"
    NO_PERSON = "no_person"
    NO_CANDIDATE = "no_candidate"
    REJECTED = "rejected"


class Outcome(StrEnum):
    """What became of the work that a counted link points to."""

    MERGED = "merged"
    OPEN = "open"
    ABANDONED = "abandoned"  # closed unmerged
    REVERTED = "reverted"
    DIRECT = "direct"  # a commit outside any pull request


@dataclass(frozen=True, slots=True)
class RunFact:
    """What the linker may know of a run. `keys` are its ids as a trailer or PR body may name them."""

    id: int
    occurred_at: datetime
    person_id: int | None  # None: a shared key that names no actor
    branch: str | None
    session_id: str | None
    commit_sha: str | None
    commit_is_result: bool  # commitRole `result`; else `head_before`
    pr_number: int | None
    files: frozenset[str]
    keys: frozenset[str]
    prompt_id: str | None = None  # None: not named
    has_repository: bool = True  # False: the run names none; it may still be named by a trailer
    code: bool = True  # False: production traffic, which is never linked


@dataclass(frozen=True, slots=True)
class CommitFact:
    sha: str
    person_id: int | None
    authored_at: datetime
    committed_at: datetime
    files: frozenset[str]
    branches: frozenset[str]
    run_keys: frozenset[str] = frozenset()  # CostLens-Run trailers
    sessions: frozenset[str] = frozenset()  # session trailers of any agent
    prompts: frozenset[str] = frozenset()  # CostLens-Prompt trailers
    co_authors: frozenset[int] = frozenset()  # people that Co-authored-by trailers name
    attested: frozenset[str] = frozenset()  # sessions that a git-ai note attests lines of


@dataclass(frozen=True, slots=True)
class PullFact:
    id: int
    number: int
    head_ref: str | None  # None: the source does not tell (a fork that was deleted)
    base_ref: str | None
    person_id: int | None
    created_at: datetime
    merged_at: datetime | None  # None: not merged
    closed_at: datetime | None  # None: open
    commits: tuple[CommitFact, ...]
    run_keys: frozenset[str] = frozenset()  # run ids named in the body
    sessions: frozenset[str] = frozenset()
    merge_commit_sha: str | None = None  # None: not merged, or unknown
    former: frozenset[str] = frozenset()  # commits that it held until a force-push left them out


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    default_branch: str
    pulls: tuple[PullFact, ...]
    commits: tuple[CommitFact, ...]  # commits outside any pull request


class Stance(StrEnum):
    """What becomes of a link that a rule makes."""

    COUNTED = "counted"
    SUGGESTED = "suggested"
    OFF = "off"  # it makes none


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Confidence of each rule in permille, and which rules count: by the threshold, unless `stances` says otherwise."""

    version: int
    confidence: Mapping[str, int]
    threshold: int = 800
    pending_days: int = 30
    stances: Mapping[str, Stance] = field(default_factory=dict)
    # Of two rules the one of lesser standing wins: one that counts before one that does not, then the surer one.
    standing: Mapping[str, tuple[bool, int]] = field(init=False)

    def __post_init__(self) -> None:
        standing = {rule: (not self.counts(rule), -confidence) for rule, confidence in self.confidence.items()}
        object.__setattr__(self, "standing", standing)

    def stance(self, rule: str) -> Stance:
        """What becomes of the rule's links."""
        by_threshold = Stance.COUNTED if self.confidence[rule] >= self.threshold else Stance.SUGGESTED
        return self.stances.get(rule, by_threshold)

    def counts(self, rule: str) -> bool:
        """Whether the rule's links count."""
        return self.stance(rule) is Stance.COUNTED


@dataclass(frozen=True, slots=True)
class ManualDecision:
    """A person's word on a (run, pull request): it outranks every rule and survives relinking."""

    run_id: int
    pull_request_id: int
    confirmed: bool  # False: rejected
    by: str


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a run. Exactly one of pull_request_id and commit_sha may be missing."""

    pull_request_id: int | None  # None: a commit outside any pull request
    commit_sha: str | None  # None: the pull request as a whole
    rule: str
    confidence: int  # permille
    state: LinkState  # counted, suggested; `unlinked` for a rejected one kept as the reason
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunLinks:
    """The linker's answer for one run: its links, and the bucket of what they do not count."""

    run_id: int
    state: LinkState
    reason: UnlinkedReason | None  # None unless state is unlinked
    links: tuple[Link, ...]
