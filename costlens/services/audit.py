"""The audit log, page by page and as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costlens.domain.access import Member
from costlens.domain.periods import bounded_day, day_start
from costlens.domain.shown import instant
from costlens.domain.spreadsheet import csv_line
from costlens.services.acting import acting, note
from costlens.store.audit import AuditFilter, audit_values, list_audit
from costlens.store.engine import Store

PAGE = 100
_COLUMNS = ("Time", "Who", "What", "Of", "Details")


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that somebody changed."""

    id: int
    at: datetime
    actor: str  # e-mail address, or console
    action: str
    subject: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditPage:
    entries: Sequence[Entry]
    more: bool
    actors: Sequence[str]  # what the filters offer
    actions: Sequence[str]


def asked_of(
    zone: str, first: str | None, last: str | None, actor: str | None, action: str | None, *, fields: tuple[str, str]
) -> AuditFilter:
    """The filter of these texts, days included and local. Raises InvalidInput naming one of the fields."""
    return AuditFilter(
        since=day_start(bounded_day(first, fields[0]), zone) if first else None,
        until=day_start(bounded_day(last, fields[1]) + timedelta(days=1), zone) if last else None,
        actor=actor,
        action=action,
    )


def audit_page(
    store: Store, organization_id: int, where: AuditFilter, before: int | None, limit: int = PAGE
) -> AuditPage:
    """Entries, newest first, from the one after `before`."""
    with store.read() as tx:
        rows = list_audit(tx, organization_id, where, limit=limit + 1, before=before)
        actors, actions = audit_values(tx, organization_id)
    return AuditPage([_entry(row) for row in rows[:limit]], len(rows) > limit, actors, actions)


def _entry(row: Any) -> Entry:
    return Entry(row.id, row.at, row.actor, row.action, row.subject, row.details)


def audit_csv(store: Store, by: Member, where: AuditFilter, *, now: datetime | None = None) -> Iterator[str]:
    """All entries of a filter as CSV, newest first; that they were taken is an entry too. Raises Forbidden."""
    note_export(store, by, "CSV", now=now)
    return _lines(every_entry(store, by.organization_id, where))


def note_export(store: Store, by: Member, form: str, *, now: datetime | None = None) -> None:
    """Writes down that the audit log was taken as a file. Raises Forbidden."""
    with store.write() as tx:
        who = acting(tx, by)
        who.must("see_audit_log")
        note(tx, who, now or datetime.now(UTC), "audit_log.exported", form)


def every_entry(store: Store, organization_id: int, where: AuditFilter) -> Iterator[Sequence[Entry]]:
    """All entries of a filter page by page, newest first."""
    before: int | None = None
    while True:
        with store.read() as tx:
            rows = list_audit(tx, organization_id, where, limit=PAGE, before=before)
        yield [_entry(row) for row in rows]
        if len(rows) < PAGE:
            return
        before = rows[-1].id


def _lines(pages: Iterator[Sequence[Entry]]) -> Iterator[str]:
    yield csv_line(_COLUMNS)
    for page in pages:
        yield "".join(
            csv_line((instant(one.at), one.actor, one.action, one.subject, dict(one.details) or None)) for one in page
        )
