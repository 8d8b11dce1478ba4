"""Pages of a repository's facts over REST: one list call a page, and two calls for each pull request on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, ReviewRecord
from costlens.domain.names import Identity, identities_of
from costlens.domain.prompts import added_lines
from costlens.domain.sync import Budget, Moved, Page, RepositoryState
from costlens.github.client import Client

PULLS_A_PAGE = 25  # what a crash costs
COMMITS_A_PAGE = 100
REVIEWS_OF_A_PULL = 50
FILES_OF_A_PULL = 100  # whose diff is looked at
COMMITS_OF_A_PULL = 3  # pages; GitHub lists 250 commits of a pull request and no more


class RestPages:
    """The REST API as a page source; a cursor is the number of the next page."""

    def __init__(self, client: Client, *, pulls_a_page: int = PULLS_A_PAGE) -> None:
        self._client = client
        self._size = pulls_a_page

    @property
    def budget(self) -> Budget | None:
        """What the last answer said. None: nothing yet."""
        return self._client.budget

    def repository(self, github_id: int, etag: str | None) -> RepositoryState | None:
        """The repository by its id, which no rename changes. None: as it was."""
        answer = self._client.get(f"/repositories/{github_id}", etag=etag)
        if answer.status == 304:
            return None
        body = answer.body
        return RepositoryState(
            body["id"], body["full_name"], body.get("default_branch"), bool(body.get("archived")), answer.etag
        )

    def probe(self, name: str, etag: str | None) -> tuple[bool, str | None]:
        """Asks for the one pull request that changed last; nothing new costs nothing."""
        answer = self._client.get(f"/repos/{name}/pulls", _newest_first(1, 1), etag=etag)
        return (False, etag) if answer.status == 304 else (True, answer.etag)

    def pulls(self, name: str, cursor: str | None, floor: datetime) -> Page:
        """A page of pull requests, each with its details and commits."""
        number = int(cursor or 1)
        answer = self._client.get(f"/repos/{name}/pulls", _newest_first(self._size, number))
        rows = answer.body
        for row in rows:  # a redirect was followed without its query: such a page is another one than we asked for
            if (told := row["base"]["repo"]["full_name"]).lower() != name.lower():
                raise Moved(f"{name} is called {told} now")
        changed = [moment(row["updated_at"]) for row in rows]
        kept = [row for row, at in zip(rows, changed, strict=True) if at >= floor]
        records = [record for row in kept for record in self._pull(name, row)]
        more = answer.next_page and len(kept) == len(rows)
        return Page(
            distinct(records),
            str(number + 1) if more else None,
            newest=max(changed, default=None),
            oldest=min(changed, default=None),
            items=len(kept),
        )

    def commits(self, name: str, branch: str | None, cursor: str | None, since: datetime) -> Page:
        """A page of a branch's commits."""
        number = int(cursor or 1)
        asked = {"since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "per_page": COMMITS_A_PAGE, "page": number}
        answer = self._client.get(f"/repos/{name}/commits", asked | ({"sha": branch} if branch else {}))
        records = distinct([record for row in answer.body for record in commit_records(row, name, branch)])
        dates = [record.committed_at for record in records if isinstance(record, CommitRecord)]
        more = str(number + 1) if answer.next_page else None
        return Page(records, more, max(dates, default=None), min(dates, default=None), len(answer.body))

    def reviews(self, name: str, number: int) -> tuple[ReviewRecord, ...]:
        """The first reviews of a pull request."""
        answer = self._client.get(f"/repos/{name}/pulls/{number}/reviews", {"per_page": REVIEWS_OF_A_PULL})
        return tuple(
            ReviewRecord(user(row.get("user"))[0], row["state"].lower(), moment(row["submitted_at"]))
            for row in answer.body
            if row.get("submitted_at")  # else it was not sent yet
        )

    def added_lines(self, name: str, number: int) -> list[str]:
        """The lines that a pull request adds; GitHub shows no diff of large or binary files."""
        answer = self._client.get(f"/repos/{name}/pulls/{number}/files", {"per_page": FILES_OF_A_PULL})
        return [line for row in answer.body for line in added_lines(row.get("patch") or "")]

    def _pull(self, name: str, row: Mapping[str, Any]) -> Iterator[Record]:
        details = self._client.get(f"/repos/{name}/pulls/{row['number']}").body
        found: list[Record] = []
        for page in range(1, COMMITS_OF_A_PULL + 1):
            answer = self._client.get(f"/repos/{name}/pulls/{row['number']}/commits", {"per_page": 100, "page": page})
            for commit in answer.body:
                found += commit_records(commit, name, details["head"]["ref"])
            if not answer.next_page:
                break
        author, bot = user(details.get("user"))
        if bot:
            yield PersonRecord(author, bot=True)
        yield from (record for record in found if isinstance(record, PersonRecord))
        merged = moment_or_none(details.get("merged_at"))
        yield PullRecord(
            repository=name,
            number=details["number"],
            title=plain(details["title"]),
            created_at=moment(details["created_at"]),
            author=author,
            author_login=(details.get("user") or {}).get("login"),
            body=plain(details.get("body") or ""),
            head_ref=details["head"]["ref"],
            head_sha=details["head"]["sha"],
            base_ref=details["base"]["ref"],
            merged_at=merged,
            closed_at=moment_or_none(details.get("closed_at")),
            merge_commit_sha=details.get("merge_commit_sha") if merged else None,
            additions=details.get("additions"),
            deletions=details.get("deletions"),
            changed_files=details.get("changed_files"),
            labels=tuple(label["name"] for label in details.get("labels") or ()),
            commits=tuple(record for record in found if isinstance(record, CommitRecord)),
        )


def _newest_first(size: int, page: int) -> dict[str, Any]:
    return {"state": "all", "sort": "updated", "direction": "desc", "per_page": size, "page": page}


def commit_records(row: Mapping[str, Any], name: str, branch: str | None) -> Iterator[PersonRecord | CommitRecord]:
    """The commit, and its author where that is a bot."""
    commit, account = row["commit"], row.get("author") or {}
    written = commit.get("author") or commit.get("committer") or {}
    author = identities_of(login=account.get("login"), github_id=account.get("id"), email=written.get("email"))
    if author and is_bot(account.get("login"), account.get("type")):
        yield PersonRecord(author, bot=True)
    authored = moment(written["date"])
    yield CommitRecord(
        repository=name,
        sha=row["sha"],
        authored_at=authored,
        committed_at=moment((commit.get("committer") or {}).get("date") or written["date"]),
        message=plain(commit["message"]),
        author=author,
        branches=(branch,) if branch else (),
        author_name=plain(written.get("name") or "") or None,
    )


def user(account: Mapping[str, Any] | None) -> tuple[tuple[Identity, ...], bool]:
    """Who an account is, and whether it is a bot; a deleted account is nobody."""
    if not account:
        return (), False
    login = account.get("login")
    return identities_of(login=login, github_id=account.get("id")), is_bot(login, account.get("type"))


def is_bot(login: str | None, kind: str | None) -> bool:
    """Whether GitHub calls an account a bot."""
    return kind == "Bot" or bool(login and login.endswith("[bot]"))


def moment(text: str) -> datetime:
    """A time of GitHub in UTC and whole milliseconds."""
    at = datetime.fromisoformat(text).astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def moment_or_none(text: str | None) -> datetime | None:
    """The same of a time that may be absent."""
    return moment(text) if text else None


def plain(text: str) -> str:
    """Without the one character that PostgreSQL cannot store."""
    return text.replace("\0", "")


def distinct(records: list[Any]) -> tuple[Any, ...]:
    """People once each."""
    people = dict.fromkeys(record for record in records if isinstance(record, PersonRecord))
    return (*people, *(record for record in records if not isinstance(record, PersonRecord)))
