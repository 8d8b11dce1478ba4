"""Letting go of GitHub: the credentials at once, what was read through them piece by piece, in a job.

Each piece is a transaction that notes how far it is, so a job that was killed goes on where it was: facts are
deleted, then every run that could be linked to them is looked at once more, then ended links go.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from costlens.domain.access import Member
from costlens.domain.errors import InvalidInput, NotFound
from costlens.services.acting import acting, note
from costlens.services.link_group import Linker, link_group
from costlens.services.linking import link_repository
from costlens.store import connections, departures
from costlens.store import organizations as org_store
from costlens.store.engine import Store, Tx
from costlens.store.homeless import homes
from costlens.store.link_work import read_runs, seen_runs
from costlens.store.rulesets import ruleset_of

SECONDS_A_JOB = 60.0
RUNS = 1_000  # looked at between two notes of how far it is

_FACTS = (departures.delete_mentions, departures.delete_pulls, departures.delete_commits)


def disconnect(store: Store, by: Member, confirmation: str, *, now: datetime | None = None) -> None:
    """Deletes the connection now; what was read through it is left to a job. Runs stay and lose their links.

    `confirmation` is the organization's name, typed. Raises Forbidden, InvalidInput or NotFound.
    """
    at = now or datetime.now(UTC)
    organization_id = by.organization_id

    def work(tx: Tx) -> None:
        who = acting(tx, by)
        who.must("manage_github")
        organization = org_store.get_organization(tx, organization_id)
        if organization is None or connections.get_connection(tx, organization_id) is None:
            raise NotFound("GitHub is not connected")
        if confirmation.strip() != organization.name:
            raise InvalidInput(f"Type {organization.name} to confirm", field="confirmation")
        departures.depart(tx, organization_id, by=who.email, at=at)
        note(tx, who, at, "github.disconnected", "GitHub")

    store.transact(work)


def departing(store: Store) -> list[int]:
    """Organizations whose facts are still being deleted."""
    with store.read() as tx:
        return departures.departing(tx)


def go_on(store: Store, organization_id: int, *, seconds: float = SECONDS_A_JOB, now: datetime | None = None) -> bool:
    """Goes on with deleting for about so long; answers whether something is left to be done."""
    at = now or datetime.now(UTC)
    ends = time.monotonic() + seconds
    while True:
        with store.read() as tx:
            departure = departures.get_departure(tx, organization_id)
            source = departures.next_source(tx, organization_id)
        if departure is None:
            return False
        if departure.total is None:
            store.transact(partial(departures.count, organization_id=organization_id))
        elif source is None:
            store.transact(partial(departures.end, organization_id=organization_id))
        else:
            _PHASES.get(source.phase, _facts)(store, source, at)
        if time.monotonic() > ends:
            return True


def _facts(store: Store, source: Any, at: datetime) -> None:
    """Deletes a slice of a repository's facts."""
    place = (source.organization_id, source.repository_id)

    def work(tx: Tx) -> None:
        for remove in _FACTS:
            if removed := remove(tx, *place):
                counted = 0 if remove is departures.delete_mentions else removed
                departures.go_on(tx, source, counted, {"phase": "facts"})
                return
        departures.forget_facts(tx, *place)
        departures.go_on(tx, source, 0, {"phase": "links", "cursor": None})

    store.transact(work)


def _links(store: Store, source: Any, at: datetime) -> None:
    """Looks at the next runs of a repository that has no facts any more; after them at those that name none."""
    organization_id, repository_id = source.organization_id, source.repository_id
    after = datetime.fromisoformat(source.cursor) if source.cursor else None
    with store.read() as tx:
        page = seen_runs(tx, organization_id, repository_id, after, RUNS)
        rules = ruleset_of(tx, organization_id)
    values: dict[str, Any] = {"phase": "history", "cursor": None}
    if page:
        linker = Linker(store, organization_id, repository_id, rules, at)
        link_group(linker, [run_id for _, run_id in page], with_mates=False)
        values = {"cursor": page[-1][0].isoformat()}
    else:
        done = link_repository(store, organization_id, 0, now=at)
        for other in sorted(done.elsewhere):
            link_repository(store, organization_id, other, now=at)
        _homeless(store, organization_id, repository_id, at)
    store.transact(lambda tx: departures.go_on(tx, source, len(page), values))


def _homeless(store: Store, organization_id: int, repository_id: int, at: datetime) -> None:
    """Runs that name no repository and still have links to this one: now they are another's, or nobody's."""
    after = 0
    while True:
        with store.read() as tx:
            ids = departures.linked_homeless(tx, organization_id, repository_id, after)
            home = homes(tx, organization_id, read_runs(tx, organization_id, ids)) if ids else {}
            rules = ruleset_of(tx, organization_id)
        if not ids:
            return
        for place in sorted({home.get(run_id, 0) for run_id in ids}):
            link_group(Linker(store, organization_id, place, rules, at), ids)
        after = ids[-1]


def _history(store: Store, source: Any, at: datetime) -> None:
    """Deletes a slice of the links that have ended."""

    def work(tx: Tx) -> None:
        if not departures.delete_history(tx, source.organization_id, source.repository_id):
            departures.end_source(tx, source)

    store.transact(work)


_PHASES: dict[str, Callable[[Store, Any, datetime], None]] = {"facts": _facts, "links": _links, "history": _history}
