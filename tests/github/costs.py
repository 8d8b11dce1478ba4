"""What reading a repository costs by the number of calls, computed."""

from __future__ import annotations

from math import ceil

from costlens.github import pages_graphql, pages_rest

LOOK = 2  # the repository, and the pull request that changed last; free where nothing did


def first_walk(source: str, pulls: int, commits: int, *, long_pulls: int = 0) -> int:
    """Calls of a first walk: `commits` are those of the default branch, `long_pulls` have more than the first page of
    commits, and no more than the second. Reviews come after it over REST, a call for each pull request.
    """
    if source == "graphql":
        pages = ceil(pulls / pages_graphql.PULLS_A_PAGE) + long_pulls
        return LOOK + pages + max(ceil(commits / pages_graphql.COMMITS_A_PAGE), 1)
    pages = ceil(pulls / pages_rest.PULLS_A_PAGE)
    return LOOK + pages + 2 * pulls + long_pulls + max(ceil(commits / pages_rest.COMMITS_A_PAGE), 1)


def next_walk(source: str, changed: int, commits: int = 1) -> int:
    """Calls of a walk for so many pull requests that changed, when they fit on a page with the one before them."""
    return LOOK + 1 + (2 * (changed + 1) if source == "rest" else 0) + ceil(max(commits, 1) / 100)
