"""The page of one run: its price line by line, its links, and its neighbours in the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from flask import Response

from costlens.domain.pricing import PriceLine
from costlens.domain.runs import show_id
from costlens.services import runs as run_service
from costlens.services.runs import RunDetails
from costlens.store.engine import Store
from costlens.store.organizations import Organization
from costlens.store.tables import USAGE_COLUMNS
from costlens.web.access import current_member
from costlens.web.answers import json_answer
from costlens.web.api.runs import details_object, price_note
from costlens.web.formats import clock, moment
from costlens.web.ui.lists import EvidenceLine, RunDetail, RunRow, TokenLine, render_run
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.pulls import pull_page_url, shown_sentence
from costlens.web.ui.usage import exact_dollars, form_asked

_CLASSES = {
    "input_uncached": "Input, not cached",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "output_text": "Output",
    "output_reasoning": "Output, reasoning",
    "run": "Per run",
}
_QUALITY = {
    "exact": "exact, as the provider reported",
    "split_estimate": "a total that was split by estimate",
    "text_estimate": "counted from the text, by estimate",
    "missing": "not told",
}


def render_details(
    store: Store, organization: Organization, nav: Nav, run_id: int, row_of: Callable[..., RunRow]
) -> Response:
    """The page of a run. Raises NotFound."""
    found = run_service.run_details(store, organization, run_id)
    neighbours = run_service.neighbours(store, organization.id, found.run)
    run = found.run
    counted = next((link for link in found.links if link.state == "counted"), None)
    details = details_object(found)
    if form_asked() == "json":
        return json_answer({"run": details})
    return Response(
        render_run(
            RunDetail(
                run=replace(
                    row_of(run, _target(counted) if counted else None),
                    target_url=_url(nav, counted) if counted else None,
                ),
                lines=_lines(found),
                price_facts=_price_facts(found),
                facts=_facts(run),
                evidence=tuple(
                    EvidenceLine(
                        f"{_target(link)} {link.title}" if link.number else _target(link),
                        _url(nav, link),
                        "rejected" if link.state == "unlinked" else link.state,
                        shown_sentence(link.evidence),
                        link.confidence,
                        link.number,
                        link.repository if link.number else None,
                    )
                    for link in found.links
                ),
                unlinked_reason=run.unlinked_reason,
                code=run.code,
                being_linked=run.code and run.linked_at is None,
                decisions=_decisions(found, organization.timezone),
                raw=msgspec.json.format(msgspec.json.encode(details), indent=2).decode(),
                price_total=sum(line.cost_nanos for line in found.lines) if found.card else None,
                note=price_note(found),
                input_tokens=_input(run),
                cached_tokens=run.cache_read,
                without_cache=_without_cache(found),
                quality=_QUALITY[run.usage_quality],
                price_url=page_url(nav, "models/prices", {"provider": run.provider, "model": run.model}) + "#set"
                if current_member().may("manage_prices")
                else None,
                before=_neighbour(neighbours.before),
                after=_neighbour(neighbours.after),
                session_url=page_url(nav, "runs", {"period": "12m", "session": run.session_id})
                if run.session_id
                else None,
            ),
            nav,
        )
    )


def _rate(line: PriceLine) -> str:
    return exact_dollars(line.picos.scaleb(-12 if line.column == "run" else -6))


def _input(run: Any) -> int:
    return int(run.input_uncached + run.cache_read + run.cache_write_5m + run.cache_write_1h)


def _without_cache(found: RunDetails) -> int | None:
    """What the same tokens cost with all input at the full rate, in nano-dollars. None: no price is known."""
    return run_service.without_cache(found.run, found.card) if found.card else None


def _lines(found: RunDetails) -> tuple[TokenLine, ...]:
    if found.lines:
        return tuple(
            TokenLine(_CLASSES[line.column], line.quantity, _rate(line), line.cost_nanos) for line in found.lines
        )
    counts = found.run._mapping
    return tuple(TokenLine(_CLASSES[name], counts[name], None, None) for name in USAGE_COLUMNS if counts[name])


def _price_facts(found: RunDetails) -> tuple[tuple[str, str], ...]:
    run, card = found.run, found.card
    since = f", in force since {moment(card.valid_from)}" if card and card.valid_from else ""
    until = f", until {moment(card.valid_to)}" if card and card.valid_to else ""
    facts = (
        ("Price source", f"{card.source}, {card.provider} / {card.model}" if card else "none: no price is known"),
        ("Price version", f"{card.version}{since}{until}" if card else None),
        ("Priced by", run.price_version if card and run.price_version != card.version else None),
        ("Processing", run.processing),
        ("Tier", run.service_tier or "standard"),
        ("Status", run.cost_status),
        ("Requested model", run.model_requested),
    )
    return tuple((label, str(value)) for label, value in facts if value)


def _facts(run: Any) -> tuple[tuple[str, str], ...]:
    facts = {
        "Team": run.team,
        "Repository": run.repository,
        "Source": run.source,
        "Session": run.session_id,
        "Branch": run.branch,
        "Commit": f"{run.commit_sha}, {(run.commit_role or '').replace('_', ' ')}" if run.commit_sha else None,
        "Pull request": run.pr_number,
        "Actor": run.actor,
        "Environment": run.environment or "development",
        "Tool": run.tool,
        "Request id": run.request_id,
        "Correlation id": run.correlation_id,
        "Received": moment(run.received_at),
        "Error": run.error_type,
        "Text": "not stored",
    }
    return tuple((label, str(value)) for label, value in facts.items() if value)


def _neighbour(run: Any) -> tuple[str, str] | None:
    """Id and model of a run beside this one. None: there is none."""
    return (show_id("run", run.id), run.model) if run else None


def _decisions(found: RunDetails, timezone: str) -> tuple[str, ...]:
    """What people said of the run, a sentence each."""
    return tuple(
        f"{row.decided_by} {'confirmed' if row.confirmed else 'rejected'} {row.name} #{row.number} on "
        f"{clock(row.decided_at.astimezone(ZoneInfo(timezone)))}"
        for row in found.decisions
    )


def _url(nav: Nav, link: Any) -> str | None:
    """The page of a link's pull request. None: it is a commit."""
    return pull_page_url(nav, link.repository, link.number) if link.number else None


def _target(link: Any) -> str:
    name = link.repository.rpartition("/")[2]
    return f"{name} #{link.number}" if link.number else f"{name} {(link.commit_sha or '')[:7]}"
