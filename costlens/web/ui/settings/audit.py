"""The audit log with its filters, as a page and as CSV."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, request, stream_with_context

from costlens.domain.errors import InvalidInput
from costlens.services import audit
from costlens.store.audit import AuditFilter
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import settings_page, settings_url

_FILTERS = ("actor", "action", "from", "to")


def blueprint() -> Blueprint:
    """The page of the audit log."""
    routes = Blueprint("audit", __name__, url_prefix="/app/<slug>/settings/audit")
    routes.get("")(audit_log)
    return routes


@needs("see_audit_log")
def audit_log(slug: str) -> str | Response | tuple[str, int]:
    """Who changed what, newest first; `format=csv` is all of the filters as a file."""
    query = {name: value for name in _FILTERS if (value := request.args.get(name, "").strip())}
    error = None
    try:
        where = _filter(query)
    except InvalidInput as wrong:
        where, error = AuditFilter(), wrong
    if request.args.get("format") == "csv" and error is None:
        lines = audit.audit_csv(context().store, current_member(), where)
        name = f"audit-log-{page_organization().slug}-{datetime.now(UTC):%Y-%m-%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(stream_with_context(lines), mimetype="text/csv", headers=headers)
    before = request.args.get("before", "")
    place = int(before) if before.isascii() and before.isdecimal() and len(before) < 18 else None
    found = audit.audit_page(context().store, page_organization().id, where, place)
    page = settings_page(
        "audit.html",
        "audit",
        found=found,
        query=query,
        error=error,
        next_query=query | {"before": found.entries[-1].id} if found.more else None,
        csv_query=query | {"format": "csv"},
        here=settings_url("audit"),
    )
    return (page, 400) if error else page


def _filter(query: dict[str, str]) -> AuditFilter:
    told = (query.get(name) for name in ("from", "to", "actor", "action"))
    return audit.asked_of(page_organization().timezone, *told, fields=("from", "to"))
