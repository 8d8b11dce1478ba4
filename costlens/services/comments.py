"""Comments on pull requests, written and edited: a few in each job, each attempt claimed before GitHub is asked.

A claim holds longer than a job may live, so two workers never write the same comment. Whoever is killed between
GitHub's answer and our note of it leaves a comment that the next attempt finds by its marker. Nothing here waits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from costlens.domain.errors import NotFound
from costlens.domain.pull_comments import KEPT_UP, CommentFacts, ModelSum, Said, comment_text, edit_at, marker
from costlens.domain.sync import (
    MAX_RETRY,
    RECONCILE,
    RECONCILE_LOST,
    BadCredentials,
    GitHubTrouble,
    Moved,
    NoAccess,
    NotPermitted,
    Paused,
    Unreachable,
    retry_after,
)
from costlens.github.client import Client
from costlens.github.comments import Ours, delete_comment, edit_comment, find_comment, write_comment
from costlens.services import github_trouble
from costlens.services.github_access import OF_TOKEN, GitHub, forget_token, installation_client
from costlens.services.pulls import pull_details
from costlens.store import connections, pull_comments
from costlens.store import github as github_store
from costlens.store import organizations as org_store
from costlens.store import pulls as pull_store
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization

A_JOB = 8  # a minute: GitHub lets a program write about 500 an hour
CLAIM = timedelta(minutes=6)  # longer than a job may take (queue.SYNC_SECONDS)
A_DAY = timedelta(days=1)  # until what GitHub understood and refused is tried again

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a comment belongs, and who writes it."""

    organization: Organization
    repository: str  # as our pages name it
    ours: Ours
    said: Said  # by the ledger, now


def at_work(store: Store) -> list[int]:
    """Organizations with comments to write or to delete, now or later."""
    with store.read() as tx:
        return pull_comments.organizations_at_work(tx)


def work(
    store: Store,
    github: GitHub,
    base_url: str,
    organization_id: int,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    attempts: int = A_JOB,
) -> int:
    """Writes the comments that are due, at most so many; answers how many attempts. Never raises because of GitHub."""
    _plan(store, organization_id, clock())
    for done in range(attempts):
        row = store.transact(lambda tx: _claim(tx, github, organization_id, clock()))
        if row is None:
            return done
        try:
            with installation_client(store, github, organization_id, row.installation_id, clock()) as client:
                if _attempt(store, client, base_url, row, clock):
                    github_trouble.clear(store, github, row, client.budget)
        except GitHubTrouble as trouble:
            if not _note(store, github, row, trouble, clock()):
                return done + 1
    return attempts


def _plan(store: Store, organization_id: int, now: datetime) -> None:
    """Notes which comments are out of date, and when each may be written."""
    due, repositories = {}, {}
    with store.read() as tx:
        found = pull_comments.candidates(tx, organization_id, now - KEPT_UP)
    for row in found:
        before = None if row.said_outcome is None else Said(row.said_outcome, row.runs, row.cost_nanos)
        at = edit_at(before, Said(row.outcome, row.runs_now, row.cost_now), row.written_at, now)
        if at is not None and at <= now:
            due[row.id], repositories[row.id] = at, row.repository_id
    if due:
        store.transact(lambda tx: pull_comments.plan(tx, organization_id, repositories, due))


def _claim(tx: Tx, github: GitHub, organization_id: int, now: datetime) -> Any:
    """The next comment, which nobody else takes for a while. None: none is due that GitHub may be asked for."""
    while row := pull_comments.next_due(tx, organization_id, now, now - KEPT_UP):
        held = github_trouble.held_until(tx, github, organization_id, row.installation_id, now)
        if held is not None:
            pull_comments.put_off(tx, organization_id, row.installation_id, held.until)
        elif pull_comments.claim(tx, row, now + CLAIM):
            return row
    return None


def _attempt(store: Store, client: Client, base_url: str, row: Any, clock: Clock) -> bool:
    """Does what is due; answers whether GitHub was asked."""
    place = _place(store, base_url, row)
    if place is None:
        return False
    if row.state == "unwanted":
        _delete(client, row, place.ours)
        with store.write() as tx:
            pull_comments.forget(tx, row.organization_id, row.pull_request_id, row.version + 1)
        return True
    text = _text(store, base_url, row, place, clock())
    values: dict[str, Any] = {"outcome": place.said.outcome, "runs": place.said.runs, "cost_nanos": place.said.cost}
    digest = hashlib.sha256(text.encode()).hexdigest()
    asked = row.comment_id is None or digest != row.digest
    if asked:
        values |= _write(client, row, place, text)
        values |= {"digest": digest, "written_at": clock()} if "comment_id" in values else {}
    _settle(store, row, {"state": "written", "due_at": None, "error": None, "failures": 0} | values)
    return asked


def _place(store: Store, base_url: str, row: Any) -> _Place | None:
    """None: the pull request or the connection is gone."""
    with store.read() as tx:
        organization = org_store.get_organization(tx, row.organization_id)
        connection = connections.get_connection(tx, row.organization_id)
        installation = sync_store.get_installation(tx, row.organization_id, row.installation_id)
        now = pull_comments.figures(tx, row.organization_id, row.pull_request_id)
        if organization is None or connection is None or installation is None or now is None:
            return None
        name = github_store.repository_name(tx, row.organization_id, row.repository_id)
    login = f"{connection.app_slug}[bot]" if connection.kind == "app" else installation.account
    ours = Ours(marker(_home(base_url, organization)), login, connection.app_id)
    return _Place(organization, name, ours, Said(now.outcome, now.runs_now, now.cost_now))


def _home(base_url: str, organization: Organization) -> str:
    return f"{base_url}/app/{organization.slug}"


def _text(store: Store, base_url: str, row: Any, place: _Place, now: datetime) -> str:
    organization, repository = place.organization, place.repository
    try:
        found = pull_details(store, organization, repository, row.number, limit=1, now=now)
    except NotFound as error:
        raise NoAccess("The pull request is gone") from error
    with store.read() as tx:
        rules = pull_store.rules_of_pull(tx, organization.id, row.pull_request_id)
    counted = found.counted
    facts = CommentFacts(
        said=Said(found.pull.outcome, counted.runs, counted.cost),
        models=[ModelSum(model, each.runs, each.priced, each.cost) for _, model, each in found.models],
        unpriced=counted.runs - counted.priced,
        guessed=sum(rule.guessed for rule in rules),
        cached_share=counted.cached_share,
        percentile=found.rank.percentile,
        among=len(found.rank.costs),
        rules={rule.rule: rule.runs for rule in rules},
        url=f"{_home(base_url, organization)}/pulls/{quote(repository)}/{row.number}",
    )
    return comment_text(facts, _home(base_url, organization))


def _write(client: Client, row: Any, place: _Place, text: str) -> dict[str, Any]:
    """Makes GitHub say this; answers the comment's id, or that a person deleted it."""
    if row.comment_id is not None:
        try:
            edit_comment(client, row.source_name, row.comment_id, text)
            return {"comment_id": row.comment_id}
        except NotPermitted:
            raise
        except NoAccess:
            pass  # the comment, the pull request or all of it: the pull request's comments tell
    found = find_comment(client, row.source_name, row.number, place.ours)
    if found is not None:
        if found.text != text:
            edit_comment(client, row.source_name, found.comment_id, text)
        return {"comment_id": found.comment_id}
    if row.comment_id is not None:
        return {"state": "removed", "error": "Deleted on GitHub, so it is not written again"}
    if not place.said.some:
        return {}
    return {"comment_id": write_comment(client, row.source_name, row.number, text)}


def _delete(client: Client, row: Any, ours: Ours) -> None:
    comment_id = row.comment_id
    try:
        if comment_id is None:
            found = find_comment(client, row.source_name, row.number, ours)
            comment_id = found.comment_id if found else None
        if comment_id is not None:
            delete_comment(client, row.source_name, comment_id)
    except NotPermitted:
        raise
    except NoAccess:
        # The comment is gone, or all of it is out of sight: the pull request's comments tell, or nobody does.
        if find_comment(client, row.source_name, row.number, ours) is not None:
            raise


def _note(store: Store, github: GitHub, row: Any, trouble: GitHubTrouble, now: datetime) -> bool:
    """Stores what went wrong and until when the comment waits; answers whether others may be tried."""
    failures, go_on, wait = row.failures + 1, True, A_DAY
    with store.write() as tx:
        if isinstance(trouble, NotPermitted):
            # A locked conversation is one pull request's; what may not be deleted tells nothing of writing.
            if row.state != "unwanted" and "locked" not in str(trouble).lower():
                pull_comments.block(tx, row.organization_id, row.source_id, str(trouble))
                wait = timedelta(0)  # as soon as it is allowed
        elif isinstance(trouble, Paused):
            wait = github_trouble.pause(tx, row.organization_id, row.installation_id, trouble, now)
            go_on = False
        elif isinstance(trouble, Unreachable):
            github_trouble.count_failure(tx, github, now)
            wait, go_on = retry_after(failures), False
        elif isinstance(trouble, BadCredentials):
            minted = row.installation_id != OF_TOKEN and failures == 1
            wait, go_on = retry_after(1) if minted else MAX_RETRY, False
        elif isinstance(trouble, NoAccess):
            wait = RECONCILE_LOST
        elif isinstance(trouble, Moved):
            wait = RECONCILE  # the walk learns the name
    if isinstance(trouble, BadCredentials):
        forget_token(store, row.organization_id, row.installation_id)
    _settle(store, row, {"due_at": now + wait, "error": str(trouble), "failures": failures})
    return go_on


def _settle(store: Store, row: Any, values: dict[str, Any]) -> None:
    with store.write() as tx:
        pull_comments.settle(tx, row, values)
