"""Connecting an organization with GitHub, and choosing its repositories."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.access import Member
from costlens.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from costlens.domain.sync import BadCredentials, GitHubTrouble, NoAccess
from costlens.github.app import (
    App,
    Offered,
    convert_manifest,
    installation_repositories,
    installations,
    set_webhook_secret,
    token_client,
    token_repositories,
)
from costlens.services.acting import acting, note
from costlens.services.github_access import OF_TOKEN, GitHub, app_of, installation_client
from costlens.store import connections, departures, pull_comments
from costlens.store import organizations as org_store
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx

LIST_EVERY = timedelta(hours=6)
OLD_SECRET = timedelta(days=1)  # how long a webhook may still sign with the secret before


@dataclass(frozen=True, slots=True)
class Connected:
    """An organization's connection as its page shows it. `connection` is None: not connected."""

    connection: Any
    departure: Any = None  # None: nothing of an earlier connection is being deleted
    installations: Sequence[Any] = ()
    sources: Sequence[Any] = ()
    day_deliveries: int = 0
    waiting_deliveries: int = 0
    comments: Mapping[int, tuple[int, datetime | None]] = field(default_factory=dict)  # repository → standing, last
    unwanted_comments: tuple[int, str | None] = (0, None)  # still to be deleted, and why one could not be


def connected(store: Store, organization_id: int, *, now: datetime | None = None) -> Connected:
    """All that the page of the connection shows."""
    at = now or datetime.now(UTC)
    with store.read() as tx:
        row = connections.get_connection(tx, organization_id)
        if row is None:
            return Connected(None, departures.get_departure(tx, organization_id))
        came, waiting = connections.delivery_counts(tx, organization_id, at - timedelta(days=1))
        return Connected(
            row,
            None,
            sync_store.list_installations(tx, organization_id),
            sync_store.list_sources(tx, organization_id),
            came,
            waiting,
            pull_comments.counts(tx, organization_id),
            pull_comments.being_deleted(tx, organization_id),
        )


def new_hook_id() -> str:
    """The name of a connection in the address of its webhook."""
    return secrets.token_urlsafe(18)


def connect_app(store: Store, github: GitHub, by: Member, code: str, hook_id: str) -> App:
    """Takes over the App that GitHub made of a manifest with this webhook. Raises Unavailable, InvalidInput, Conflict.

    A code is good once and for an hour.
    """
    _check_free(store, by)
    try:
        app = convert_manifest(github.api_url, code)
    except GitHubTrouble as trouble:
        raise _said(trouble) from trouble
    hook_secret = app.webhook_secret or secrets.token_hex(32)
    values = {
        "kind": "app",
        "app_id": app.app_id,
        "app_slug": app.slug,
        "app_url": app.url,
        "client_id": app.client_id,
        "private_key": github.box.seal(app.private_key),
        "client_secret": github.box.seal(app.client_secret),
        "webhook_secret": github.box.seal(hook_secret),
        "hook_id": hook_id,
    }
    _create(store, by, values)
    return app


def connect_token(store: Store, github: GitHub, by: Member, token: str, *, kind: str = "token") -> int:
    """Connects by a token that GitHub accepts; answers how many repositories it may read.

    `kind`: `oauth` for one that an OAuth App was given.

    Raises InvalidInput when GitHub does not accept it, Unavailable when GitHub cannot be asked, Conflict.
    """
    _check_free(store, by)
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or len(token) > 300:
        raise InvalidInput("Paste the token as GitHub shows it", field="token")
    client = token_client(github.api_url, token)
    try:
        login, offered = token_repositories(client)
    except GitHubTrouble as trouble:
        raise _said(trouble) from trouble
    finally:
        client.close()
    values = {
        "kind": kind,
        "token": github.box.seal(token),
        "webhook_secret": github.box.seal(secrets.token_hex(32)),
        "hook_id": new_hook_id(),
    }
    _create(store, by, values)
    _save(store, by.organization_id, {OF_TOKEN: login}, {OF_TOKEN: offered})
    return len(offered)


def refresh(store: Store, github: GitHub, organization_id: int, *, now: datetime | None = None) -> int:
    """Asks GitHub anew what the connection may read; answers how many repositories. Never raises because of GitHub."""
    at = now or datetime.now(UTC)
    try:
        with app_of(store, github, organization_id) as client:
            if client is None:
                accounts, offered = _of_token(store, github, organization_id, at)
            else:
                found = [one for one in installations(client) if not one.suspended]
                accounts = {one.installation_id: one.account for one in found}
                # Known before they are asked: their tokens are kept with them.
                with store.write() as tx:
                    if connections.get_connection(tx, organization_id) is None:
                        return 0
                    connections.keep_installations(tx, organization_id, accounts)
                    for one in found:
                        pull_comments.note_permission(tx, organization_id, one.installation_id, one.may_comment)
                offered = {}
                for number in accounts:
                    with installation_client(store, github, organization_id, number, at) as asked:
                        offered[number] = installation_repositories(asked)
    except GitHubTrouble as trouble:
        values: dict[str, Any] = {"listed_at": at, "list_due": False}
        if isinstance(trouble, BadCredentials):
            values["error"] = str(trouble)
        with store.write() as tx:
            connections.change_connection(tx, organization_id, values)
        return 0
    return _save(store, organization_id, accounts, offered, at)


def _of_token(
    store: Store, github: GitHub, organization_id: int, now: datetime
) -> tuple[dict[int, str], dict[int, list[Offered]]]:
    with store.read() as tx:
        if connections.get_connection(tx, organization_id) is None:
            return {}, {}
    with installation_client(store, github, organization_id, OF_TOKEN, now) as client:
        login, offered = token_repositories(client)
    return {OF_TOKEN: login}, {OF_TOKEN: offered}


def look_again(store: Store, organization_id: int) -> None:
    """The list of repositories is asked for anew. Raises NotFound."""
    with store.write() as tx:
        if connections.get_connection(tx, organization_id) is None:
            raise NotFound("GitHub is not connected")
        connections.change_connection(tx, organization_id, {"list_due": True})


def lists_due(store: Store, now: datetime) -> list[int]:
    """Organizations whose list of repositories is old."""
    with store.read() as tx:
        return connections.lists_due(tx, now - LIST_EVERY)


def choose_repositories(store: Store, by: Member, chosen: Sequence[int], *, now: datetime | None = None) -> None:
    """Exactly these repositories are read from now on. Raises Forbidden, InvalidInput for one that is not offered."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _keeper(tx, by)
        rows = {row.id: row for row in sync_store.list_sources(tx, by.organization_id)}
        if not set(chosen) <= {row.id for row in rows.values() if row.offered or row.chosen}:
            raise InvalidInput("One of the repositories is not offered by GitHub any more", field="repository")
        before, after = {row.id for row in rows.values() if row.chosen}, set(chosen)
        sync_store.choose(tx, by.organization_id, chosen, at)
        if before != after:
            added, removed = (sorted(rows[one].name for one in some) for some in (after - before, before - after))
            note(tx, who, at, "github.repositories_chosen", "GitHub", added=added, removed=removed)


def assign_team(store: Store, by: Member, source_id: int, team_id: int | None, *, now: datetime | None = None) -> None:
    """Gives a repository to a team (none: to nobody). Raises Forbidden, NotFound, InvalidInput before it was read."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _keeper(tx, by)
        row = sync_store.get_source(tx, by.organization_id, source_id)
        if row is None:
            raise NotFound("No such repository")
        teams = {team.id: team.name for team in org_store.list_teams(tx, by.organization_id)}
        if team_id is not None and team_id not in teams:
            raise NotFound("No such team")
        if row.repository_id is None:
            raise InvalidInput("The repository has not been read yet; try again in a moment", field="team")
        connections.assign_team(tx, by.organization_id, row.repository_id, team_id)
        note(tx, who, at, "github.team_assigned", row.name, team=None if team_id is None else teams[team_id])


def read_again(store: Store, organization_id: int, source_id: int, *, now: datetime | None = None) -> None:
    """Reads a repository from the start of the horizon once more. Raises NotFound."""
    with store.write() as tx:
        row = sync_store.get_source(tx, organization_id, source_id)
        if row is None or not row.chosen:
            raise NotFound("No such repository")
        values = {"phase": "idle", "cursor": None, "watermark": None, "covers_from": None, "repository_etag": None,
                  "pulls_etag": None, "due_at": now or datetime.now(UTC), "state": "waiting", "error": None,
                  "failures": 0}  # fmt: skip
        sync_store.move_on(tx, organization_id, source_id, row.version, values)


def change_webhook_secret(store: Store, github: GitHub, by: Member, *, now: datetime | None = None) -> str:
    """Makes a new webhook secret; the one before it holds for a day. Answers it: a token's owner must paste it.

    Raises Forbidden, NotFound, and Unavailable when GitHub cannot be told.
    """
    at = now or datetime.now(UTC)
    secret = secrets.token_hex(32)
    # Both are good from before GitHub knows the new one: no event is refused in between.
    with store.write() as tx:
        who = _keeper(tx, by)
        row = connections.get_connection(tx, by.organization_id)
        if row is None:
            raise NotFound("GitHub is not connected")
        values = {
            "webhook_secret": github.box.seal(secret),
            "old_webhook_secret": row.webhook_secret,
            "old_secret_until": at + OLD_SECRET,
        }
        connections.change_connection(tx, by.organization_id, values)
    try:
        with app_of(store, github, by.organization_id) as client:
            if client is not None:
                set_webhook_secret(client, secret)
    except GitHubTrouble as trouble:
        with store.write() as tx:
            back = {"webhook_secret": row.webhook_secret, "old_webhook_secret": row.old_webhook_secret}
            connections.change_connection(tx, by.organization_id, back | {"old_secret_until": row.old_secret_until})
        raise _said(trouble) from trouble
    with store.write() as tx:
        note(tx, who, at, "github.webhook_secret_changed", "GitHub")
    return secret


def _keeper(tx: Tx, by: Member) -> Member:
    who = acting(tx, by)
    who.must("manage_github")
    return who


def _check_free(store: Store, by: Member) -> None:
    with store.read() as tx:
        _free(tx, by.organization_id)


def _free(tx: Tx, organization_id: int) -> None:
    if connections.get_connection(tx, organization_id) is not None:
        raise Conflict("GitHub is connected already; disconnect it first")
    if departures.get_departure(tx, organization_id) is not None:
        raise Conflict("What was read before is still being deleted; connect again when that is done")


def _create(store: Store, by: Member, values: dict[str, Any]) -> None:
    now = datetime.now(UTC)

    def work(tx: Tx) -> None:
        who = _keeper(tx, by)
        _free(tx, by.organization_id)  # another may have connected while GitHub was asked
        head = {"organization_id": by.organization_id, "created_by": who.email, "created_at": now}
        connections.create_connection(tx, head | values)
        note(tx, who, now, "github.connected", "GitHub", through=values["kind"])

    store.transact(work)


def _save(
    store: Store,
    organization_id: int,
    accounts: dict[int, str],
    offered: dict[int, list[Offered]],
    now: datetime | None = None,
) -> int:
    at = now or datetime.now(UTC)
    rows = {
        one.github_id: {
            "installation_id": number,
            "github_id": one.github_id,
            "name": one.name,
            "private": one.private,
            "archived": one.archived,
            "default_branch": one.default_branch,
        }
        for number, found in offered.items()
        for one in found
    }
    with store.write() as tx:
        if connections.get_connection(tx, organization_id) is None:  # disconnected while GitHub was asked
            return 0
        connections.keep_installations(tx, organization_id, accounts)
        sync_store.save_offered(tx, organization_id, list(rows.values()))
        values = {"listed_at": at, "list_due": False, "error": None}
        connections.change_connection(tx, organization_id, values)
    return len(rows)


def _said(trouble: GitHubTrouble) -> InvalidInput | Unavailable:
    """What a person who waits for the answer is told."""
    if isinstance(trouble, BadCredentials):
        return InvalidInput("GitHub does not accept this token", field="token")
    if isinstance(trouble, NoAccess):
        return InvalidInput("GitHub does not know this any more; begin again")
    return Unavailable(f"{trouble}. Try again in a moment", retry_after=30)
