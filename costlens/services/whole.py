"""Everything of an organization, page by page: neither memory nor the database is held while a caller reads.

Each page is a transaction of its own, so what changes meanwhile may be in the export or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from costlens.domain.access import Member
from costlens.services.acting import acting, note
from costlens.services.exports import PAGE
from costlens.store import whole as whole_store
from costlens.store.engine import Store, Tx
from costlens.store.identity import repositories_of


@dataclass(frozen=True, slots=True)
class Human:
    """Somebody with all identities."""

    person: Any
    identities: Sequence[Any]


def begin_export(store: Store, by: Member, *, now: datetime | None = None) -> None:
    """Writes down that the organization was exported. Raises Forbidden."""
    with store.write() as tx:
        who = acting(tx, by)
        who.must("export_organization")
        note(tx, who, now or datetime.now(UTC), "organization.exported", "everything")


def repositories(store: Store, organization_id: int) -> Sequence[Any]:
    """All repositories by name."""
    with store.read() as tx:
        return repositories_of(tx, organization_id)


def every_person(store: Store, organization_id: int) -> Iterator[Sequence[Human]]:
    """All people with their identities."""
    for people in _pages(store, organization_id, whole_store.people_after):
        with store.read() as tx:
            rows = whole_store.identities_of(tx, organization_id, [row.id for row in people])
        of: dict[int, list[Any]] = defaultdict(list)
        for row in rows:
            of[row.person_id].append(row)
        yield [Human(row, of[row.id]) for row in people]


def every_pull(store: Store, organization_id: int) -> Iterator[Sequence[Any]]:
    """All pull requests."""
    return _pages(store, organization_id, whole_store.pulls_after)


def every_commit(store: Store, organization_id: int) -> Iterator[Sequence[Any]]:
    """All commits."""
    return _pages(store, organization_id, whole_store.commits_after)


def every_assumption(store: Store, organization_id: int) -> Iterator[Sequence[Any]]:
    """All assumptions of the return on AI, of the organization and of teams."""
    return _pages(store, organization_id, whole_store.assumptions_after)


def every_decision(store: Store, organization_id: int) -> Iterator[Sequence[Any]]:
    """All that people said of links."""
    after = (0, -1)
    while True:
        with store.read() as tx:
            rows = whole_store.decisions_after(tx, organization_id, after, PAGE)
        yield rows
        if len(rows) < PAGE:
            return
        after = (rows[-1].run_id, rows[-1].pull_request_id)


def _pages(
    store: Store, organization_id: int, read: Callable[[Tx, int, int, int], Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    after = 0
    while True:
        with store.read() as tx:
            rows = read(tx, organization_id, after, PAGE)
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1].id
