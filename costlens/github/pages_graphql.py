"""Pages of a repository's facts over GraphQL: pull requests come with their commits, in one call a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from costlens.domain.github import CommitRecord, PersonRecord, PullRecord, Record, ReviewRecord
from costlens.domain.names import Identity, identities_of
from costlens.domain.sync import Budget, EmptyRepository, NoAccess, Page, RepositoryState, Unreachable
from costlens.github.client import Client
from costlens.github.pages_rest import RestPages, distinct, is_bot, moment, moment_or_none, plain

PULLS_A_PAGE = 25  # with 50 commits each: one point of the hourly 5,000; a third level of lists would cost far more
COMMITS_A_PAGE = 100

_COMMIT = """
fragment CommitFacts on Commit {
  oid message authoredDate committedDate
  author { name email user { login databaseId } }
}
"""

_WHO = """
fragment Who on Actor {
  __typename login ... on User { databaseId } ... on Bot { databaseId } ... on Mannequin { databaseId }
}
"""

PULLS = (
    """
query Pulls($owner: String!, $name: String!, $size: Int!, $cursor: String) {
  repository(owner: $owner, name: $name) {
    pullRequests(first: $size, after: $cursor, orderBy: {field: UPDATED_AT, direction: DESC}) {
      pageInfo { hasNextPage endCursor }
      nodes {
        number title body createdAt updatedAt mergedAt closedAt
        author { ...Who }
        headRefName headRefOid baseRefName mergeCommit { oid }
        additions deletions changedFiles
        labels(first: 20) { nodes { name } }
        reviews(first: 50) { nodes { state submittedAt author { ...Who } } }
        commits(first: 50) { pageInfo { hasNextPage endCursor } nodes { commit { ...CommitFacts } } }
      }
    }
  }
  rateLimit { cost remaining limit resetAt }
}
"""
    + _COMMIT
    + _WHO
)

COMMITS_OF_PULL = (
    """
query CommitsOfPull($owner: String!, $name: String!, $number: Int!, $cursor: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      commits(first: 100, after: $cursor) { pageInfo { hasNextPage endCursor } nodes { commit { ...CommitFacts } } }
    }
  }
  rateLimit { cost remaining limit resetAt }
}
"""
    + _COMMIT
)

COMMITS = (
    """
query Commits($owner: String!, $name: String!, $branch: String!, $since: GitTimestamp!, $cursor: String) {
  repository(owner: $owner, name: $name) {
    object(expression: $branch) {
      ... on Commit {
        history(first: 100, after: $cursor, since: $since) {
          pageInfo { hasNextPage endCursor }
          nodes { ...CommitFacts }
        }
      }
    }
  }
  rateLimit { cost remaining limit resetAt }
}
"""
    + _COMMIT
)

QUERIES = (PULLS, COMMITS_OF_PULL, COMMITS)


class GraphqlPages:
    """The GraphQL API as a page source; a cursor is GitHub's own. Questions that REST answers for nothing go there."""

    def __init__(self, client: Client, *, pulls_a_page: int = PULLS_A_PAGE) -> None:
        self._client = client
        self._rest = RestPages(client)
        self._size = pulls_a_page
        self._budget: Budget | None = None

    @property
    def budget(self) -> Budget | None:
        """Points that are left. None: nothing was asked yet."""
        return self._budget

    def repository(self, github_id: int, etag: str | None) -> RepositoryState | None:
        """The repository by its id. None: as it was."""
        return self._rest.repository(github_id, etag)

    def probe(self, name: str, etag: str | None) -> tuple[bool, str | None]:
        """Whether a pull request changed."""
        return self._rest.probe(name, etag)

    def pulls(self, name: str, cursor: str | None, floor: datetime) -> Page:
        """A page of pull requests; half as many at a time when GitHub fails at them."""
        listed = self._pulls(name, cursor)
        nodes = listed["nodes"]
        changed = [moment(node["updatedAt"]) for node in nodes]
        kept = [node for node, at in zip(nodes, changed, strict=True) if at >= floor]
        more = listed["pageInfo"]["hasNextPage"] and len(kept) == len(nodes)
        return Page(
            distinct([record for node in kept for record in self._pull(name, node)]),
            listed["pageInfo"]["endCursor"] if more else None,
            newest=max(changed, default=None),
            oldest=min(changed, default=None),
            items=len(kept),
        )

    def commits(self, name: str, branch: str | None, cursor: str | None, since: datetime) -> Page:
        """A page of a branch's commits."""
        stamp = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        found = self._ask(COMMITS, name, branch=branch or "HEAD", since=stamp, cursor=cursor)["object"]
        if found is None:
            raise EmptyRepository("Git Repository is empty.")
        history = found["history"]
        records = distinct([record for node in history["nodes"] for record in _commit(node, name, branch)])
        dates = [record.committed_at for record in records if isinstance(record, CommitRecord)]
        more = history["pageInfo"]["endCursor"] if history["pageInfo"]["hasNextPage"] else None
        return Page(records, more, max(dates, default=None), min(dates, default=None), len(history["nodes"]))

    def reviews(self, name: str, number: int) -> tuple[ReviewRecord, ...]:
        """Reviews of a pull request; its page has told them already."""
        return self._rest.reviews(name, number)

    def added_lines(self, name: str, number: int) -> list[str]:
        """The lines that a pull request adds, which GraphQL does not tell."""
        return self._rest.added_lines(name, number)

    def _pulls(self, name: str, cursor: str | None) -> Any:
        while True:
            try:
                return self._ask(PULLS, name, size=self._size, cursor=cursor)["pullRequests"]
            except Unreachable:
                if self._size < 6:
                    raise
                self._size //= 2

    def _ask(self, query: str, repository: str, **variables: Any) -> Any:
        owner, _, name = repository.partition("/")
        data = self._client.graphql(query, {"owner": owner, "name": name} | variables)
        limit = data["rateLimit"]
        if limit:  # none where an Enterprise Server has limits turned off
            self._budget = Budget(limit["remaining"], limit["limit"], moment(limit["resetAt"]))
        if data["repository"] is None:
            raise NoAccess(f"GitHub shows no repository {repository}")
        return data["repository"]

    def _pull(self, name: str, node: Mapping[str, Any]) -> Iterator[Record]:
        head = node["headRefName"]
        found = [record for commit in self._all_commits(name, node) for record in _commit(commit, name, head)]
        author, login, bot = _author(node["author"])
        if bot:
            yield PersonRecord(author, bot=True)
        yield from (record for record in found if isinstance(record, PersonRecord))
        merged = moment_or_none(node["mergedAt"])
        yield PullRecord(
            repository=name,
            number=node["number"],
            title=plain(node["title"]),
            created_at=moment(node["createdAt"]),
            author=author,
            author_login=login,
            body=plain(node["body"] or ""),
            head_ref=head,
            head_sha=node["headRefOid"],
            base_ref=node["baseRefName"],
            merged_at=merged,
            closed_at=moment_or_none(node["closedAt"]),
            merge_commit_sha=(node["mergeCommit"] or {}).get("oid") if merged else None,
            additions=node["additions"],
            deletions=node["deletions"],
            changed_files=node["changedFiles"],
            labels=tuple(label["name"] for label in (node["labels"] or {}).get("nodes") or ()),
            commits=tuple(record for record in found if isinstance(record, CommitRecord)),
            reviews=tuple(
                ReviewRecord(_author(one["author"])[0], one["state"].lower(), moment(one["submittedAt"]))
                for one in (node["reviews"] or {}).get("nodes") or ()
                if one["submittedAt"]
            ),
        )

    def _all_commits(self, name: str, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The commits that came along, and the further ones of a long pull request (250, as over REST)."""
        listed, count = node["commits"], 0
        while True:
            for one in listed["nodes"]:
                if (count := count + 1) > 250:
                    return
                yield one["commit"]
            if not listed["pageInfo"]["hasNextPage"]:
                return
            cursor = listed["pageInfo"]["endCursor"]
            listed = self._ask(COMMITS_OF_PULL, name, number=node["number"], cursor=cursor)["pullRequest"]["commits"]


def _author(account: Mapping[str, Any] | None) -> tuple[tuple[Identity, ...], str | None, bool]:
    """Identities, login and whether it is a bot; GraphQL leaves out the `[bot]` that REST writes."""
    if account is None:
        return (), None, False
    bot = account["__typename"] == "Bot"
    login = account["login"]
    if bot and not login.endswith("[bot]"):
        login = f"{login}[bot]"
    return identities_of(login=login, github_id=account.get("databaseId")), login, bot


def _commit(node: Mapping[str, Any], name: str, branch: str | None) -> Iterator[PersonRecord | CommitRecord]:
    written = node["author"] or {}
    account = written.get("user") or {}
    author = identities_of(login=account.get("login"), github_id=account.get("databaseId"), email=written.get("email"))
    if author and is_bot(account.get("login"), None):
        yield PersonRecord(author, bot=True)
    yield CommitRecord(
        repository=name,
        sha=node["oid"],
        authored_at=moment(node["authoredDate"]),
        committed_at=moment(node["committedDate"]),
        message=plain(node["message"]),
        author=author,
        branches=(branch,) if branch else (),
        author_name=plain(written.get("name") or "") or None,
    )
