"""GET /audit: who changed what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from flask import Blueprint, Response

from costlens.domain.access import Member
from costlens.domain.shown import moment
from costlens.services import audit
from costlens.services.audit import Entry
from costlens.store.audit import AuditFilter
from costlens.store.engine import Store
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.callers import changing
from costlens.web.api.exports import export_answer, export_form
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.shapes import settings as shape

_COLUMNS = ("id", "at", "actor", "action", "subject", "details")


def blueprint() -> Blueprint:
    """The route of the audit log."""
    routes = Blueprint("audit_log", __name__)
    routes.get("/audit")(list_entries)
    return routes


def list_entries() -> Response:
    """Entries, the newest first: a page of them, or all of a filter as a file, which is an entry itself."""
    by = changing("see_audit_log")
    organization = require_key("admin").organization
    where = audit.asked_of(
        organization.timezone,
        params.text("startDate"),
        params.text("endDate"),
        params.text("actor"),
        params.text("action"),
        fields=("startDate", "endDate"),
    )
    before = params.number("cursor", 0, 1, 2**62) or None
    if form := export_form():
        pages = _taken(context().store, by, form, where)
        return export_answer(form, f"{organization.slug}-audit", _COLUMNS, pages)
    found = audit.audit_page(context().store, organization.id, where, before, params.number("limit", 100, 1, 1_000))
    return json_answer(
        shape.AuditList(
            entries=[_shape(one) for one in found.entries],
            next_cursor=str(found.entries[-1].id) if found.more else None,
        )
    )


def _taken(store: Store, by: Member, form: str, where: AuditFilter) -> Iterator[Iterator[dict[str, Any]]]:
    """The pages; the log says that they were taken once the first goes out."""
    audit.note_export(store, by, form.upper())
    for page in audit.every_entry(store, by.organization_id, where):
        yield map(entry_object, page)


def entry_object(one: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    found: dict[str, Any] = msgspec.to_builtins(_shape(one))
    return found


def _shape(one: Entry) -> shape.AuditEntry:
    return shape.AuditEntry(
        id=one.id,
        at=moment(one.at),
        actor=one.actor,
        action=one.action,
        subject=one.subject,
        details=dict(one.details),
    )
