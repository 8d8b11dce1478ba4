"""Comments on pull requests on and off, tried again, deleted: by owners and admins, and in the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from costlens.domain.access import Member
from costlens.domain.errors import InvalidInput, NotFound
from costlens.services.acting import acting, note
from costlens.store import connections, pull_comments
from costlens.store import sync as sync_store
from costlens.store.engine import Store, Tx


def set_comments(store: Store, by: Member, *, on: bool, chosen: Iterable[int], now: datetime | None = None) -> None:
    """Comments are written in exactly these repositories, as long as `on`. Raises Forbidden, NotFound, InvalidInput."""
    at, wanted = now or datetime.now(UTC), set(chosen)
    with store.write() as tx:
        who = _keeper(tx, by)
        before = connections.get_connection(tx, by.organization_id)
        rows = {row.id: row for row in sync_store.list_sources(tx, by.organization_id) if row.chosen}
        if not wanted <= rows.keys():
            raise InvalidInput("One of the repositories is not read any more", field="repository")
        was_on, had = (
            before is not None and before.comments_on_at is not None,
            {one for one in rows if rows[one].comments_on_at},
        )
        pull_comments.turn(tx, by.organization_id, on, wanted, at)
        if on != was_on or wanted != had:
            added, removed = (sorted(rows[one].name for one in some) for some in (wanted - had, had - wanted))
            note(tx, who, at, "github.comments_changed", "GitHub", on=on, added=added, removed=removed)


def try_again(store: Store, by: Member, *, now: datetime | None = None) -> None:
    """What GitHub refused is tried again. Raises Forbidden, NotFound."""
    with store.write() as tx:
        _keeper(tx, by)
        pull_comments.unblock(tx, by.organization_id)
        pull_comments.hurry(tx, by.organization_id, now or datetime.now(UTC))


def delete_comments(store: Store, by: Member, *, now: datetime | None = None) -> int:
    """A job deletes the comments where comments are off; answers how many. Raises Forbidden, NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = _keeper(tx, by)
        count = pull_comments.reject(tx, by.organization_id, at)
        if count:
            note(tx, who, at, "github.comments_deleted", "GitHub", comments=count)
    return count


def _keeper(tx: Tx, by: Member) -> Member:
    who = acting(tx, by)
    who.must("manage_github")
    if connections.get_connection(tx, by.organization_id) is None:
        raise NotFound("GitHub is not connected")
    return who
