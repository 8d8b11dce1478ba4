"""What the page of the connection shows, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from costlens.config import Settings
from costlens.domain.sync import progress
from costlens.services.github_connect import Connected

PULLS_SHARE = 0.9  # of the progress bar; the rest is for the commits outside pull requests
_WORDS = {
    "waiting": ("waiting", "pending"),
    "ok": ("up to date", "success"),
    "empty": ("no commits yet", "success"),
    "paused": ("rate limit", "pending"),
    "failing": ("trying again", "failed"),
    "lost": ("no access", "failed"),
    "refused": ("credentials refused", "failed"),
}
_ADVICE = {
    "lost": "What was read stays. Give the App or the token access again; it is tried every six hours.",
    "refused": "Disconnect and connect again, or renew the token on GitHub.",
}


@dataclass(frozen=True, slots=True)
class SourceView:
    """One repository that is read."""

    id: int
    name: str
    url: str
    archived: bool
    state: str
    tone: str  # class of the chip
    percent: int | None  # of the walk that is under way. None: none is
    error: str | None  # None: nothing is wrong
    advice: str | None  # None: nothing to do about it
    items: int  # read by the last walk, or by this one
    covers_from: datetime | None  # None: not read to the end yet
    succeeded_at: datetime | None  # None: never
    due_at: datetime | None  # None: not read any more
    hinted_at: datetime | None  # None: no webhook came
    team_id: int | None  # None: nobody's
    readable: bool  # it has rows, so that a team can have it


@dataclass(frozen=True, slots=True)
class Choice:
    """One repository that may be read."""

    id: int
    name: str
    private: bool
    archived: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    budget: int | None  # calls left. None: not asked yet
    limit: int | None  # None: not asked yet
    resets_at: datetime | None  # None: not asked yet
    paused_until: datetime | None  # None: no limit holds
    pause_reason: str | None  # None: no limit holds


@dataclass(frozen=True, slots=True)
class CommentChoice:
    """One repository that is read, and the comments on its pull requests."""

    id: int
    name: str
    private: bool
    on: bool
    standing: int
    written_at: datetime | None  # None: none was written yet
    forbidden: bool  # GitHub allows none
    error: str | None  # None: GitHub said nothing against it


@dataclass(frozen=True, slots=True)
class CommentsView:
    on: bool
    choices: tuple[CommentChoice, ...]
    forbidden: bool  # in one of the repositories where they are on
    leftover: int  # comments that stand where comments are off
    deleting: int  # still to be deleted
    kept_by: str | None  # what GitHub said when one could not be. None: nothing


@dataclass(frozen=True, slots=True)
class ConnectionView:
    kind: str  # app, token, oauth
    app_slug: str | None  # None: no App
    app_url: str | None  # None: no App
    created_by: str
    created_at: datetime
    error: str | None  # None: the credentials work
    listing: bool  # the repositories are being asked for
    accounts: tuple[Account, ...]
    read: tuple[SourceView, ...]
    choices: tuple[Choice, ...]
    comments: CommentsView
    hook_url: str
    pinged_at: datetime | None  # None: GitHub has not tried it
    delivered_at: datetime | None  # None: no event came
    redelivered_at: datetime | None  # None: not looked for yet
    old_secret_until: datetime | None  # None: only one secret holds
    day_deliveries: int
    waiting_deliveries: int
    busy: bool  # something on the page will change soon


@dataclass(frozen=True, slots=True)
class LeavingView:
    """What is left of a connection that is gone."""

    asked_by: str
    asked_at: datetime
    percent: int | None  # None: not begun yet


def leaving(row: Any) -> LeavingView:
    """How far the deleting is."""
    percent = None if row.total is None else min(99, 100 * row.done // max(row.total, 1))
    return LeavingView(row.asked_by, row.asked_at, percent)


def view(found: Connected, settings: Settings, now: datetime) -> ConnectionView:
    """The connection as its page shows it."""
    row = found.connection
    read = tuple(_source(one, settings.github_url) for one in found.sources if one.chosen)
    listing = bool(row.list_due or row.listed_at is None) and row.error is None
    accounts = tuple(_account(one, now) for one in found.installations)
    old = row.old_secret_until
    return ConnectionView(
        kind=row.kind,
        app_slug=row.app_slug,
        app_url=row.app_url,
        created_by=row.created_by,
        created_at=row.created_at,
        error=row.error,
        listing=listing,
        accounts=accounts,
        read=read,
        choices=tuple(
            Choice(one.id, one.name, one.private, one.archived, one.chosen)
            for one in found.sources
            if one.offered or one.chosen
        ),
        comments=_comments(found),
        hook_url=f"{settings.base_url}/webhooks/github/{row.hook_id}",
        pinged_at=row.pinged_at,
        delivered_at=row.delivered_at,
        redelivered_at=row.redelivered_at,
        old_secret_until=old if old is not None and old > now else None,
        day_deliveries=found.day_deliveries,
        waiting_deliveries=found.waiting_deliveries,
        busy=listing or any(one.percent is not None or one.state == "waiting" for one in read),
    )


def _comments(found: Connected) -> CommentsView:
    on = found.connection.comments_on_at is not None
    barred = {one.installation_id for one in found.installations if one.may_comment is False}
    choices = tuple(_comment_choice(row, found, row.installation_id in barred) for row in found.sources if row.chosen)
    off = (row for row in found.sources if not on or row.comments_on_at is None)
    leftover = sum(found.comments.get(row.repository_id, (0, None))[0] for row in off)
    return CommentsView(on, choices, any(one.forbidden for one in choices), leftover, *found.unwanted_comments)


def _comment_choice(row: Any, found: Connected, barred: bool) -> CommentChoice:
    standing, written_at = found.comments.get(row.repository_id, (0, None))
    on = row.comments_on_at is not None
    active = on and found.connection.comments_on_at is not None
    return CommentChoice(
        id=row.id,
        name=row.name,
        private=row.private,
        on=on,
        standing=standing,
        written_at=written_at,
        forbidden=active and (barred or row.comments_error is not None),
        error=row.comments_error if active else None,
    )


def _source(row: Any, github_url: str) -> SourceView:
    words, tone = _WORDS[row.state]
    percent = _percent(row)
    if percent is not None and row.state in ("waiting", "ok", "empty"):
        words, tone = "reading", "pending"
    return SourceView(
        id=row.id,
        name=row.name,
        url=f"{github_url}/{row.name}",
        archived=row.archived,
        state=words,
        tone=tone,
        percent=percent,
        error=row.error,
        advice=_ADVICE.get(row.state),
        items=row.items,
        covers_from=row.covers_from,
        succeeded_at=row.succeeded_at,
        due_at=row.due_at,
        hinted_at=row.hinted_at,
        team_id=row.team_id,
        readable=row.repository_id is not None,
    )


def _percent(row: Any) -> int | None:
    """How much of a walk is done. None: none is under way."""
    if row.phase in ("idle", "details"):  # all pull requests and commits are there
        return None
    top = row.top or row.started_at
    share = progress(top, row.floor, row.reached)
    if row.phase == "pulls":
        return int(100 * PULLS_SHARE * share)
    return int(100 * (PULLS_SHARE + (1 - PULLS_SHARE) * share))


def _account(row: Any, now: datetime) -> Account:
    holds = row.paused_until is not None and row.paused_until > now
    return Account(
        row.account,
        row.budget,
        row.budget_limit,
        row.budget_resets_at,
        row.paused_until if holds else None,
        row.pause_reason if holds else None,
    )
