"""The snapshot file: GitHub's facts as newline-delimited JSON, for import without a network.

One object a line; its `type` (repository, person, pull, commit) is inferred where absent: `number` means a pull
request, `sha` a commit, `login` a person. See docs/snapshot.md for the fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from costlens.domain.errors import InvalidInput
from costlens.domain.github import (
    CommitRecord,
    PersonRecord,
    PullRecord,
    Record,
    RepositoryRecord,
    ReviewRecord,
)
from costlens.domain.names import identities_of, repository_name

_Id = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]


class _Repository(msgspec.Struct, rename="camel"):
    name: _Name
    id: _Id | None = None
    default_branch: _Name | None = None


class _Person(msgspec.Struct, rename="camel"):
    login: _Name | None = None
    id: _Id | None = None
    emails: tuple[_Name, ...] = ()
    name: str | None = None
    bot: bool | None = None


class _Commit(msgspec.Struct, rename="camel"):
    sha: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{7,64}$")]
    authored_at: datetime
    repo: _Name | None = None
    author: _Name | None = None
    author_email: _Name | None = None
    author_id: _Id | None = None
    author_name: _Name | None = None
    committed_at: datetime | None = None
    subject: str = ""
    message: str | None = None
    files: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()


class _Review(msgspec.Struct, rename="camel"):
    submitted_at: datetime | None = None
    state: Annotated[str, msgspec.Meta(max_length=40)] = "commented"
    author: _Name | None = None
    author_id: _Id | None = None


class _Pull(msgspec.Struct, rename="camel"):
    repo: _Name
    number: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    created_at: datetime
    title: str = ""
    body: str | None = None
    author: _Name | None = None
    author_id: _Id | None = None
    head_ref: _Name | None = None
    head_sha: _Name | None = None
    base_ref: _Name | None = None
    state: str | None = None
    merged_at: datetime | None = None
    closed_at: datetime | None = None
    merge_commit_sha: _Name | None = None
    additions: _Count | None = None
    deletions: _Count | None = None
    changed_files: _Count | None = None
    labels: tuple[str, ...] = ()
    commits: tuple[_Commit, ...] = ()
    reviews: tuple[_Review, ...] | None = None


_TYPES: dict[str, type[Any]] = {"repository": _Repository, "person": _Person, "commit": _Commit, "pull": _Pull}


def read_snapshot(lines: Iterable[bytes], *, repository: str | None = None) -> Iterator[Record]:
    """Records of a snapshot; `repository` stands for lines that name none. Raises InvalidInput naming the line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _record(line, repository)
        except InvalidInput as error:
            raise InvalidInput(f"line {number}: {error.message}", field=error.field) from error
        except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
            raise InvalidInput(f"line {number}: {error}") from error


def _record(line: bytes, repository: str | None) -> Record:
    raw = msgspec.json.decode(line)
    if b"\\u0000" in line:
        raw = _without_nul(raw)
    if not isinstance(raw, dict):
        raise InvalidInput("a line must be a JSON object")
    kind = raw.get("type") or _inferred(raw)
    if not isinstance(kind, str) or kind not in _TYPES:
        raise InvalidInput(f"unknown type {kind!r}; known are {', '.join(_TYPES)}", field="type")
    if repository and kind in ("commit", "pull"):
        raw.setdefault("repo", repository)
    row = msgspec.convert(raw, _TYPES[kind])
    match row:
        case _Repository():
            return RepositoryRecord(repository_name(row.name), row.id, row.default_branch)
        case _Person():
            return _person(row)
        case _Commit():
            if row.repo is None:
                raise InvalidInput("a commit outside a pull request needs `repo`", field="repo")
            return _commit(row, repository_name(row.repo))
        case _:
            return _pull(row)


def _without_nul(value: Any) -> Any:
    """The same without the one character that PostgreSQL cannot store: a body that holds it must stop no import."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(one) for one in value]
    return {name: _without_nul(one) for name, one in value.items()} if isinstance(value, dict) else value


def _inferred(raw: dict[str, Any]) -> str | None:
    for key, kind in (("number", "pull"), ("sha", "commit"), ("login", "person")):
        if key in raw:
            return kind
    return None


def _person(row: _Person) -> PersonRecord:
    identities = tuple(
        dict.fromkeys(
            (
                *identities_of(login=row.login, github_id=row.id),
                *(identity for email in row.emails for identity in identities_of(email=email)),
            )
        )
    )
    if not identities:
        raise InvalidInput("a person needs a login, an id or an e-mail address", field="login")
    bot = row.bot if row.bot is not None else bool(row.login and row.login.endswith("[bot]"))
    return PersonRecord(identities, row.name, bot)


def _commit(row: _Commit, repository: str) -> CommitRecord:
    authored = _utc(row.authored_at, "authoredAt")
    return CommitRecord(
        repository=repository,
        sha=row.sha,
        authored_at=authored,
        committed_at=_utc(row.committed_at, "committedAt") if row.committed_at else authored,
        message=row.message if row.message is not None else row.subject,
        author=identities_of(login=row.author, email=row.author_email, github_id=row.author_id),
        files=row.files,
        branches=row.branches,
        author_name=row.author_name,
    )


def _pull(row: _Pull) -> PullRecord:
    repository = repository_name(row.repo)
    merged = _utc(row.merged_at, "mergedAt") if row.merged_at else None
    closed = _utc(row.closed_at, "closedAt") if row.closed_at else merged
    if row.state not in (None, "open", "closed", "merged"):
        raise InvalidInput(f"state must be open, closed or merged, not {row.state!r}", field="state")
    if row.state == "merged" and merged is None:
        raise InvalidInput("a merged pull request needs mergedAt", field="mergedAt")
    if row.state == "closed" and closed is None:
        raise InvalidInput("a closed pull request needs closedAt", field="closedAt")
    return PullRecord(
        repository=repository,
        number=row.number,
        title=row.title,
        created_at=_utc(row.created_at, "createdAt"),
        author=identities_of(login=row.author, github_id=row.author_id),
        author_login=row.author,
        body=row.body,
        head_ref=row.head_ref,
        head_sha=row.head_sha,
        base_ref=row.base_ref,
        merged_at=merged,
        closed_at=closed,
        merge_commit_sha=row.merge_commit_sha if merged else None,
        additions=row.additions,
        deletions=row.deletions,
        changed_files=row.changed_files,
        labels=row.labels,
        commits=tuple(_commit(commit, repository) for commit in row.commits),
        reviews=_reviews(row.reviews),
    )


def _reviews(rows: tuple[_Review, ...] | None) -> tuple[ReviewRecord, ...] | None:
    """The reviews whose time is told. None: none is told of, or none with its time."""
    found = tuple(
        ReviewRecord(
            identities_of(login=row.author, github_id=row.author_id),
            row.state.lower(),
            _utc(row.submitted_at, "submittedAt"),
        )
        for row in rows or ()
        if row.submitted_at
    )
    return None if rows is None or (rows and not found) else found


def _utc(at: datetime, field: str) -> datetime:
    """In UTC and whole milliseconds, as the store keeps it. Raises InvalidInput without an offset."""
    if at.tzinfo is None:
        raise InvalidInput(f"{field} needs a UTC offset, as in 2026-01-05T10:42:40Z", field=field)
    try:
        return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)
    except OverflowError as error:
        raise InvalidInput(f"{field} is out of range", field=field) from error
