"""Comments on pull requests: find ours, write, edit, delete. Every function may raise a GitHubTrouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from costlens.github.client import Client

MAX_PAGES = 30  # of 100 comments; GitHub takes 2,500 of a pull request


@dataclass(frozen=True, slots=True)
class Ours:
    """Who writes our comments, so that somebody's copy of one is not taken for ours."""

    marker: str  # what they begin with
    login: str  # of the token's owner, or the App's `slug[bot]`
    app_id: int | None  # None: not written by an App


@dataclass(frozen=True, slots=True)
class Found:
    comment_id: int
    text: str


def find_comment(client: Client, repository: str, number: int, ours: Ours) -> Found | None:
    """Our comment on a pull request, the oldest should there be several. None: there is none."""
    for page in range(1, MAX_PAGES + 1):
        answer = client.get(f"/repos/{repository}/issues/{number}/comments", {"per_page": 100, "page": page})
        for row in answer.body:
            if str(row.get("body") or "").startswith(ours.marker) and _by_us(row, ours):
                return Found(int(row["id"]), row["body"])
        if not answer.next_page:
            return None
    return None


def write_comment(client: Client, repository: str, number: int, text: str) -> int:
    """Writes a comment and answers its id."""
    return int(client.send("POST", f"/repos/{repository}/issues/{number}/comments", {"body": text}).body["id"])


def edit_comment(client: Client, repository: str, comment_id: int, text: str) -> None:
    """Gives a comment another text. Raises NoAccess when it is gone."""
    client.send("PATCH", f"/repos/{repository}/issues/comments/{comment_id}", {"body": text})


def delete_comment(client: Client, repository: str, comment_id: int) -> None:
    """Deletes a comment. Raises NoAccess when it is gone."""
    client.send("DELETE", f"/repos/{repository}/issues/comments/{comment_id}")


def _by_us(row: Mapping[str, Any], ours: Ours) -> bool:
    app = (row.get("performed_via_github_app") or {}).get("id")
    login = str((row.get("user") or {}).get("login") or "")
    return login.lower() == ours.login.lower() or (ours.app_id is not None and app == ours.app_id)
