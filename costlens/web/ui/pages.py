"""The pages of one organization: the figures, and the rows behind them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from flask import Blueprint, Response, request

from costlens.domain.errors import NotFound
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, RoiReport, Window
from costlens.domain.runs import read_id, show_id
from costlens.services import reports
from costlens.services import runs as run_service
from costlens.services.shell import names_of_runs
from costlens.store.runs import RunFilter
from costlens.store.tables import USAGE_COLUMNS
from costlens.web.access import needs
from costlens.web.api.cursors import read_run_cursor, run_cursor
from costlens.web.api.runs import details_object
from costlens.web.context import context
from costlens.web.formats import clock
from costlens.web.ui import start
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import NONE, query_of, read
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.lists import (
    EvidenceLine,
    RunDetail,
    RunFilters,
    RunRow,
    RunsPage,
    TokenLine,
    render_run,
    render_runs,
)
from costlens.web.ui.nav import page_url
from costlens.web.ui.pulls import pull_page_url, shown_sentence
from costlens.web.ui.roi import RoiFilters, roi_blueprint

PAGE = 100


def blueprint() -> Blueprint:
    """The lists behind the figures."""
    routes = Blueprint("pages", __name__, url_prefix="/app/<slug>")
    routes.before_request(signed_in)
    routes.get("/runs")(needs("see_reports")(runs_page))
    routes.get("/runs/<run_id>")(needs("see_reports")(run_page))
    return routes


def roi_pages() -> Blueprint:
    """The ROI pages, filled with this server's data."""
    routes = roi_blueprint(lambda slug: frame(slug).nav, load_roi, start.first_page)
    routes.before_request(signed_in)
    return routes


def load_roi(slug: str, scope: str, span: Window, filters: RoiFilters) -> RoiReport:
    """The report of a page. Raises NotFound for an organization that is not the user's."""
    organization = frame(slug).organization
    chosen = Filters(team_id=filters.team, provider=filters.provider, repository_id=filters.repository)
    return reports.roi_report(context().store, organization.id, scope, window=span, filters=chosen)


def runs_page(slug: str) -> Response:
    """Runs behind a figure, newest first."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(RunFilters, request.args, organization.timezone, datetime.now(UTC))
    asked, span = chosen.filters, chosen.window
    options = names_of_runs(context().store, organization.id, span)
    bar = bar_of(nav, "runs", chosen, options=options, shown="Its whole life" if asked.pull else None)
    if other := instead(nav, "runs", "Runs", chosen, bar):
        return other
    since, until = bounds(span)
    where = RunFilter(
        since=None if asked.pull else since,
        until=None if asked.pull else until,
        provider=asked.provider,
        model=asked.model,
        environment="" if asked.environment == NONE else asked.environment,
        prompt_id=asked.prompt,
        team_id=asked.team,
        repository_id=asked.repository,
        state=None if asked.state == "code" else asked.state,
        reason=asked.reason,
        code=True if asked.state == "code" else None,
        priced=False if asked.price == NONE else None,
        pull_request_id=asked.pull,
    )
    page = run_service.page_of_runs(
        context().store, organization, where, limit=PAGE, before=read_run_cursor(asked.cursor)
    )
    totals = run_service.totals(context().store, organization.id, where)
    last = page.rows[-1] if page.more else None
    shown = RunsPage(
        rows=tuple(_run_row(row) for row in page.rows),
        total_runs=totals.runs,
        total_cost=totals.cost_nanos,
        unpriced_runs=totals.unpriced,
        bar=bar,
        started=around.shell.started,
        next_url=page_url(nav, "runs", query_of(asked) | {"cursor": run_cursor(last)}) if last else None,
    )
    return Response(render_runs(shown, nav))


def _run_row(row: Any, target: str | None = None) -> RunRow:
    return RunRow(
        id=show_id("run", row.id),
        occurred_at=row.occurred_at,
        provider=row.provider,
        model=row.model,
        prompt=row.prompt_id,
        repository=row.repository,
        team=row.team,
        person=row.actor,
        tokens=sum(row._mapping[name] for name in USAGE_COLUMNS),
        latency_ms=row.latency_ms,
        success=row.success,
        cost=row.cost_nanos,
        estimated=row.usage_quality != "exact",
        state=row.link_state,
        target=target or _short_target(row),
        target_url=None,
    )


def _short_target(row: Any) -> str | None:
    if row.target_number is None:
        return None
    name = (row.repository or "").rpartition("/")[2]
    return f"{name} #{row.target_number}".strip()


_CLASSES = {
    "input_uncached": "Input, not cached",
    "cache_read": "Cache read",
    "cache_write_5m": "Cache write, 5 minutes",
    "cache_write_1h": "Cache write, 1 hour",
    "output_text": "Output",
    "output_reasoning": "Output, reasoning",
    "run": "Per run",
}


def run_page(slug: str, run_id: str) -> str:
    """One run: why it costs what it does, and what it is linked to."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    number = read_id("run", run_id)
    if number is None:
        raise NotFound("No such run")
    found = run_service.run_details(context().store, organization, number)
    run, card = found.run, found.card
    counted = next((link for link in found.links if link.state == "counted"), None)
    lines = [
        TokenLine(_CLASSES[line.column], line.quantity, round(line.picos), line.cost_nanos) for line in found.lines
    ] or [
        TokenLine(_CLASSES[name], run._mapping[name], None, None) for name in USAGE_COLUMNS if run._mapping[name]
    ]  # fmt: skip
    facts = {
        "Session": run.session_id,
        "Branch": run.branch,
        "Commit": run.commit_sha,
        "Pull request": run.pr_number,
        "Actor": run.actor,
        "Environment": run.environment or "development",
        "Tool": run.tool,
        "Request id": run.request_id,
        "Correlation id": run.correlation_id,
        "Usage": run.usage_quality.replace("_", " "),
    }
    return render_run(
        RunDetail(
            run=replace(
                _run_row(run, _target(counted) if counted else None),
                target_url=pull_page_url(nav, counted.repository, counted.number)
                if counted and counted.number
                else None,
            ),
            lines=tuple(lines),
            price_facts=tuple(
                (label, str(value))
                for label, value in (
                    ("Status", run.cost_status),
                    ("Source", card.source if card else None),
                    ("Version", run.price_version),
                    ("Priced as", card.model if card else None),
                    ("Processing", run.processing),
                    ("Service tier", run.service_tier),
                )
                if value
            ),
            facts=tuple((label, str(value)) for label, value in facts.items() if value),
            evidence=tuple(
                EvidenceLine(
                    f"{_target(link)} {link.title}" if link.number else _target(link),
                    pull_page_url(nav, link.repository, link.number) if link.number else None,
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
            decisions=tuple(
                f"{row.decided_by} {'confirmed' if row.confirmed else 'rejected'} {row.name} #{row.number} on "
                f"{clock(row.decided_at.astimezone(ZoneInfo(organization.timezone)))}"
                for row in found.decisions
            ),
            raw=msgspec.json.format(msgspec.json.encode(details_object(found)), indent=2).decode(),
        ),
        nav,
    )


def _target(link: Any) -> str:
    name = link.repository.rpartition("/")[2]
    return f"{name} #{link.number}" if link.number else f"{name} {(link.commit_sha or '')[:7]}"
