"""GitHub's facts as every source tells them: snapshot file, REST, GraphQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from costlens.domain.names import Identity


@dataclass(frozen=True, slots=True)
class RepositoryRecord:
    name: str  # owner/name
    github_id: int | None = None  # None: the source does not tell
    default_branch: str | None = None  # None: unknown
    closed_known: bool = True  # False: the source tells of no pull request that was closed unmerged


@dataclass(frozen=True, slots=True)
class PersonRecord:
    identities: tuple[Identity, ...]
    name: str | None = None  # None: not told
    bot: bool = False


@dataclass(frozen=True, slots=True)
class CommitRecord:
    repository: str
    sha: str
    authored_at: datetime
    committed_at: datetime
    message: str
    author: tuple[Identity, ...]
    files: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    attested: tuple[str, ...] = ()  # sessions that its git-ai note attests lines of
    author_name: str | None = None  # None: not told


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    author: tuple[Identity, ...]
    state: str  # approved, changes_requested, commented, dismissed
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class PullRecord:
    repository: str
    number: int
    title: str
    created_at: datetime
    author: tuple[Identity, ...]
    author_login: str | None = None  # None: unknown
    body: str | None = None  # None: the source does not tell
    head_ref: str | None = None
    head_sha: str | None = None
    base_ref: str | None = None
    merged_at: datetime | None = None  # None: not merged
    closed_at: datetime | None = None  # None: open
    merge_commit_sha: str | None = None
    additions: int | None = None
    deletions: int | None = None
    changed_files: int | None = None
    labels: tuple[str, ...] = ()
    commits: tuple[CommitRecord, ...] = ()
    reviews: tuple[ReviewRecord, ...] | None = None  # None: the source does not tell


Record = RepositoryRecord | PersonRecord | CommitRecord | PullRecord
