"""What the walk over a repository knows of GitHub: pages of records, what can go wrong, and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from costlens.domain.github import Record, ReviewRecord

OVERLAP = timedelta(minutes=5)  # read again before the last walk's newest change: GitHub's lists lag a little
COMMIT_OVERLAP = timedelta(days=1)  # a commit is listed by its own date, which may be older than its push
RECONCILE = timedelta(minutes=15)
RECONCILE_ARCHIVED = timedelta(days=1)
RECONCILE_LOST = timedelta(hours=6)  # access may come back
SECONDARY_WAIT = timedelta(minutes=1)  # as GitHub asks where it names no time
MAX_WAIT = timedelta(hours=2)
FIRST_RETRY = timedelta(seconds=10)
MAX_RETRY = timedelta(minutes=15)
BREAKER_FAILURES = 5  # in a row, of one host
BREAKER_WAIT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """A repository as GitHub tells it now."""

    github_id: int
    name: str  # owner/name
    default_branch: str | None  # None: not told
    archived: bool
    etag: str | None  # None: the answer had none


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a walk, newest first."""

    records: tuple[Record, ...]
    next: str | None  # cursor of the page after it. None: this is the last one
    newest: datetime | None = None  # latest change on the page. None: an empty page
    oldest: datetime | None = None  # None: an empty page
    items: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls (or points) that GitHub still allows, and when it counts anew."""

    remaining: int
    limit: int
    resets_at: datetime


class PageSource(Protocol):
    """GitHub's facts of one repository, page by page. Every method may raise a GitHubTrouble."""

    @property
    def budget(self) -> Budget | None:
        """What the last answer said. None: nothing yet."""

    def repository(self, github_id: int, etag: str | None) -> RepositoryState | None:
        """The repository. None: nothing changed since the answer with this tag."""

    def probe(self, name: str, etag: str | None) -> tuple[bool, str | None]:
        """Whether a pull request changed since the answer with this tag, and the new tag."""

    def pulls(self, name: str, cursor: str | None, floor: datetime) -> Page:
        """Pull requests with their commits, changed at `floor` or later, the latest change first."""

    def commits(self, name: str, branch: str | None, cursor: str | None, since: datetime) -> Page:
        """Commits of a branch (none: the default one) since then. Raises EmptyRepository."""

    def reviews(self, name: str, number: int) -> tuple[ReviewRecord, ...]:
        """Reviews of a pull request, for a source whose pages do not tell them."""

    def added_lines(self, name: str, number: int) -> list[str]:
        """The lines that a pull request adds, of the files whose diff GitHub shows."""


class GitHubTrouble(Exception):
    """GitHub did not do what was asked; the message is for people."""


class Paused(GitHubTrouble):
    """A rate limit: nobody who uses the same installation may ask before `wait` is over."""

    def __init__(self, message: str, wait: timedelta | None) -> None:
        super().__init__(message)
        self.wait = wait  # None: GitHub names no time


class Unreachable(GitHubTrouble):
    """No answer, or one that says that GitHub itself failed."""


class BadCredentials(GitHubTrouble):
    """The token or the App's key is not valid any more."""


class NoAccess(GitHubTrouble):
    """The thing is gone, or may not be read any more."""


class NotPermitted(NoAccess):
    """The thing is there, and this may not be done to it; no rate limit."""


class Moved(GitHubTrouble):
    """The repository has another name now."""


class EmptyRepository(GitHubTrouble):
    """There are no commits yet."""


class Refused(GitHubTrouble):
    """GitHub understood and said no."""


def retry_after(failures: int) -> timedelta:
    """How long to wait after so many failures in a row (1 or more): 10 s, doubled each time up to 15 min."""
    return min(FIRST_RETRY * (1 << min(failures - 1, 20)), MAX_RETRY)


def pause_of(trouble: Paused, failures: int) -> timedelta:
    """How long a rate limit holds: as GitHub says, else a minute, doubled each time that it was too short."""
    wait = trouble.wait if trouble.wait is not None else SECONDARY_WAIT * (1 << min(max(failures - 1, 0), 10))
    return min(max(wait, timedelta(seconds=1)), MAX_WAIT)


def breaker_wait(failures: int) -> timedelta | None:
    """How long a host is left alone after so many failures in a row. None: it may be asked."""
    if failures < BREAKER_FAILURES:
        return None
    return min(BREAKER_WAIT * (1 << min(failures - BREAKER_FAILURES, 10)), MAX_RETRY)


def progress(top: datetime | None, floor: datetime, reached: datetime | None) -> float:
    """The share of a walk from `top` down to `floor` that is done, by time: how many items there are nobody tells."""
    if top is None or reached is None:
        return 0.0
    if top <= floor:
        return 1.0
    return min(max((top - reached) / (top - floor), 0.0), 1.0)
