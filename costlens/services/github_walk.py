"""The walk: one repository of GitHub read page by page, newest change first, until nothing new is left.

Facts and the place where they were read are stored in one transaction, so that a crash costs one page. Nothing here
waits: a walk that must not go on now says when it is due again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.errors import Conflict
from costlens.domain.github import RepositoryRecord
from costlens.domain.sync import (
    COMMIT_OVERLAP,
    OVERLAP,
    RECONCILE,
    RECONCILE_ARCHIVED,
    EmptyRepository,
    GitHubTrouble,
    Page,
    PageSource,
)
from costlens.services import github_details, github_trouble
from costlens.services.github_access import GitHub, pages_of
from costlens.services.sync import settle_outcomes, store_page
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import find_repositories

PAGES_A_JOB = 8
SECONDS_A_JOB = 20.0

Open = Callable[[], AbstractContextManager[PageSource]]
Clock = Callable[[], datetime]


@dataclass(slots=True)
class Step:
    """What one job did: repositories whose facts changed, and how soon the walk goes on."""

    pages: int = 0
    changed: set[int] = field(default_factory=set)
    wait: timedelta | None = None  # None: nothing to do soon
    first: bool = True  # the repository's first walk, which takes many jobs


class _Overtaken(Exception):
    """Another writer moved this walk on meanwhile; what it read stays."""


def due(store: Store, now: datetime) -> list[tuple[int, int]]:
    """(organization, source) of walks that should go on."""
    with store.read() as tx:
        return sync_store.due_sources(tx, now)


def advance(
    store: Store,
    github: GitHub,
    organization_id: int,
    source_id: int,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    pages_a_job: int = PAGES_A_JOB,
) -> Step:
    """Reads the next pages of a walk that is due. Never raises because of GitHub."""
    step = Step()
    with store.read() as tx:
        row = sync_store.get_source(tx, organization_id, source_id)
    if row is None or not row.chosen or row.due_at is None or row.due_at > clock():
        return step
    until = github_trouble.closed_until(store, github, row, clock())
    if until is not None:
        step.wait = until - clock()
        return step
    step.first = row.watermark is None
    source = pages_of(store, github, organization_id, row.installation_id, clock())
    try:
        with source as pages:
            _read(store, pages, github, row, step, clock, pages_a_job)
    except _Overtaken:
        return step
    except GitHubTrouble as trouble:
        with store.read() as tx:
            row = sync_store.get_source(tx, organization_id, source_id)
        if row is not None and row.chosen:
            step.wait = github_trouble.note(store, github, row, trouble, clock())
    except Conflict as error:
        github_trouble.note_conflict(store, row, error, clock())
    return step


def _read(
    store: Store, pages: PageSource, github: GitHub, row: Any, step: Step, clock: Clock, pages_a_job: int
) -> None:
    started = time.monotonic()
    version = row.version
    while step.pages < pages_a_job and time.monotonic() - started < SECONDS_A_JOB:
        with store.read() as tx:
            row = sync_store.get_source(tx, row.organization_id, row.id)
        if row is None or not row.chosen or row.version != version:
            return
        if row.phase == "idle":
            done = _begin(store, pages, row, github.horizon, step, clock())
        elif row.phase == "pulls":
            page = pages.pulls(row.name, row.cursor, row.floor)
            done = _keep(store, pages, row, page, step, clock())
        elif row.phase == "commits":
            done = _commits(store, pages, row, step, clock())
        else:
            done = _details(store, pages, row, step, clock())
        version += 1
        github_trouble.clear(store, github, row, pages.budget)
        if done:
            return
        if step.changed and not step.first:  # news are linked before older changes are read
            break
    step.wait = timedelta(0)


def _begin(store: Store, pages: PageSource, row: Any, horizon: timedelta, step: Step, now: datetime) -> bool:
    """Asks what is new; answers whether nothing is."""
    told = pages.repository(row.github_id, row.repository_etag)
    name = told.name if told else row.name
    news, etag = pages.probe(name, row.pulls_etag)
    values: dict[str, Any] = {"pulls_etag": etag, "name": name}
    if told:
        values |= {
            "repository_etag": told.etag,
            "default_branch": told.default_branch,
            "archived": told.archived,
        }
    first = row.watermark is None
    if not (news or told or first):
        return _finish(store, row, values, step, now, walked=False)
    floor = now - horizon if first else row.watermark - OVERLAP
    values |= {
        "phase": "pulls" if news or first else "commits",
        "started_at": now,
        "cursor": None,
        "floor": floor,
        "top": None,
        "reached": None,
        "items": 0,
        "due_at": now,
    }

    def work(tx: Tx) -> set[int]:
        record = RepositoryRecord(name, row.github_id, told.default_branch if told else row.default_branch)
        saved = store_page(tx, row.organization_id, [record], now)
        repository_id = find_repositories(tx, row.organization_id, [name])[name.lower()]
        _move_on(tx, row, values | {"repository_id": repository_id})
        return saved.changed

    step.changed |= store.transact(work)
    return False


def _commits(store: Store, pages: PageSource, row: Any, step: Step, now: datetime) -> bool:
    since = row.floor if row.watermark is None else row.floor - COMMIT_OVERLAP
    try:
        page = pages.commits(row.name, row.default_branch, row.cursor, since)
    except EmptyRepository:
        return _finish(store, row, {"state": "empty"}, step, now)
    return _keep(store, pages, row, page, step, now)


def _keep(store: Store, pages: PageSource, row: Any, page: Page, step: Step, now: datetime) -> bool:
    """Stores a page and the place after it in one transaction; answers whether the walk is at its end."""
    step.pages += 1
    state = row.state if row.state in ("ok", "empty") else "waiting"
    values: dict[str, Any] = {"cursor": page.next, "items": row.items + page.items, "due_at": now, "state": state,
                              "error": None, "failures": 0}  # fmt: skip
    if page.oldest is not None:
        values["reached"] = page.oldest
    if row.phase == "pulls" and row.top is None and page.newest is not None:
        values["top"] = page.newest
    if page.next is None:
        if row.phase == "commits":
            return _finish(store, row, {"items": values["items"]}, step, now, page=page)
        values |= {"phase": "commits", "reached": None}
    step.changed |= store.transact(lambda tx: _store(tx, row, page, values, now))
    return False


def _store(tx: Tx, row: Any, page: Page, values: dict[str, Any], now: datetime) -> set[int]:
    saved = store_page(tx, row.organization_id, page.records, now)
    if row.phase == "pulls":
        github_details.mark_due(tx, row.organization_id, row.repository_id, page.records)
    _move_on(tx, row, values)
    return saved.changed


def _details(store: Store, pages: PageSource, row: Any, step: Step, now: datetime) -> bool:
    """Reads what pages do not tell, a few pull requests at a time; answers whether that is enough for this walk."""
    done = int(row.cursor or 0)
    pulls = github_details.due(store, row) if done < github_details.A_WALK else ()
    for pull in pulls:
        github_details.read(store, pages, row, pull, now)
    step.pages += 1
    values: dict[str, Any] = {"cursor": str(done + len(pulls)), "due_at": now, "state": "ok", "error": None}

    def work(tx: Tx) -> None:
        if pulls:
            _move_on(tx, row, values | {"failures": 0})
        else:
            _rest(tx, row, {}, step, now)

    store.transact(work)
    return not pulls


def _finish(
    store: Store,
    row: Any,
    values: dict[str, Any],
    step: Step,
    now: datetime,
    *,
    page: Page | None = None,
    walked: bool = True,
) -> bool:
    """The end of a walk, with its last page; answers whether nothing is left to be read one by one."""
    end: dict[str, Any] = {"state": "ok", "succeeded_at": now}
    if walked:
        # Nothing on GitHub is as old as the start of a walk that saw nothing.
        end["watermark"] = row.top or row.watermark or row.started_at
        end["covers_from"] = row.covers_from or row.floor
    elif row.state == "empty":
        end["state"] = "empty"
    more = bool(github_details.due(store, row))

    def work(tx: Tx) -> set[int]:
        changed = store_page(tx, row.organization_id, page.records, now).changed if page else set()
        if walked and row.repository_id is not None:
            settle_outcomes(tx, organization_id=row.organization_id, repository_id=row.repository_id)
        if more:
            going_on = {"phase": "details", "cursor": None, "due_at": now, "error": None, "failures": 0}
            _move_on(tx, row, end | values | going_on)
        else:
            _rest(tx, row, end | values, step, now)
        return changed

    step.changed |= store.transact(work)
    return not more


def _rest(tx: Tx, row: Any, values: dict[str, Any], step: Step, now: datetime) -> None:
    """Until the next look; at once when a webhook came since this walk began."""
    latest = sync_store.get_source(tx, row.organization_id, row.id)
    hinted, since = latest.hinted_at if latest else None, row.started_at
    again = hinted is not None and since is not None and hinted > since
    archived = values.get("archived", row.archived)
    due_at = now if again else now + (RECONCILE_ARCHIVED if archived else RECONCILE)
    rest = {"phase": "idle", "cursor": None, "started_at": None, "floor": None, "reached": None, "error": None,
            "failures": 0, "due_at": due_at}  # fmt: skip
    _move_on(tx, row, values | rest)
    step.wait = timedelta(0) if again else None


def _move_on(tx: Tx, row: Any, values: dict[str, Any]) -> None:
    if not sync_store.move_on(tx, row.organization_id, row.id, row.version, values):
        raise _Overtaken
