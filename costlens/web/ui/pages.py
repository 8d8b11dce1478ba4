"""The pages of one organization: who may see it, what they show, and the rows behind their figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, request
from flask_login import login_required

from costlens.domain.errors import NotFound
from costlens.domain.linking import sentence
from costlens.domain.periods import bounds, local_day, window
from costlens.domain.roi import Filters, RoiReport, Window
from costlens.domain.runs import read_id, show_id
from costlens.services import reports
from costlens.services import runs as run_service
from costlens.services.shell import Shell, shell
from costlens.store.organizations import Organization
from costlens.store.runs import RunFilter
from costlens.store.tables import USAGE_COLUMNS
from costlens.web.api.cursors import read_run_cursor, run_cursor
from costlens.web.api.runs import details_object
from costlens.web.auth import current_account, current_organization, current_organizations
from costlens.web.context import context
from costlens.web.formats import date_range
from costlens.web.ui.lists import (
    Applied,
    EvidenceLine,
    PullRow,
    PullsPage,
    RunDetail,
    RunRow,
    RunsPage,
    TokenLine,
    render_pulls,
    render_run,
    render_runs,
)
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.roi import RoiFilters, roi_blueprint

PAGE = 100
_STATES = ("counted", "suggested", "pending", "unlinked", "not_code")
_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "merged": ("merged", "reverted"),
    "open": ("open",),
    "abandoned": ("abandoned",),
    "reverted": ("reverted",),
    "closed": ("merged", "reverted", "abandoned"),
}


def blueprint() -> Blueprint:
    """The pages of a signed-in member."""
    routes = Blueprint("pages", __name__, url_prefix="/app/<slug>")
    routes.before_request(_signed_in)
    routes.get("/runs")(runs_page)
    routes.get("/runs/<run_id>")(run_page)
    routes.get("/pulls")(pulls_page)
    return routes


def roi_pages() -> Blueprint:
    """The ROI pages, filled with this server's data."""
    routes = roi_blueprint(load_roi)
    routes.before_request(_signed_in)
    return routes


@login_required  # type: ignore[untyped-decorator]
def _signed_in() -> None:
    """Nothing below is shown to somebody who is not signed in."""


def load_roi(slug: str, scope: str, filters: RoiFilters) -> tuple[RoiReport, Nav]:
    """The report and frame of a page. Raises NotFound for an organization that is not the user's."""
    organization, nav, _ = frame(slug)
    chosen = Filters(team_id=filters.team, provider=filters.provider)
    period = _window(organization, filters.period)
    return reports.roi_report(context().store, organization.id, scope, window=period, filters=chosen), nav


def frame(slug: str) -> tuple[Organization, Nav, Shell]:
    """An organization of the signed-in user with the frame of its pages. Raises NotFound."""
    organization = current_organization(slug)
    found = shell(context().store, organization.id)
    nav = Nav(
        organization=organization.name,
        slug=organization.slug,
        base_url=context().settings.base_url,
        others=tuple((one.slug, one.name) for one in current_organizations() if one.id != organization.id),
        teams=found.teams,
        providers=found.providers,
        user=user.email if (user := current_account()) else None,
        sign_out_url="/sign-out",
    )
    return organization, nav, found


def _window(organization: Organization, period: str | None) -> Window:
    return window(period, organization.timezone, local_day(datetime.now(UTC), organization.timezone))


def _range(span: Window) -> str:
    return f"{date_range(span.start, span.end)} · {span.timezone}"


def _id(name: str) -> int | None:
    """The id of a filter; 0 for `none`. None: not filtered, or not a number."""
    text = request.args.get(name, "")
    if text == "none":
        return 0
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


def _query(*names: str) -> dict[str, str]:
    return {name: request.args[name] for name in names if request.args.get(name)}


def _applied(page: str, nav: Nav, found: Shell, query: Mapping[str, str]) -> tuple[Applied, ...]:
    labels = {
        "repository": "Repository",
        "team": "Team",
        "provider": "Provider",
        "state": "Link",
        "reason": "Reason",
        "outcome": "Outcome",
        "price": "Price",
        "prompt": "Prompt",
        "pull": "Pull request",
    }
    names = {
        "repository": {str(number): name for number, name in found.repositories},
        "team": {str(number): name for number, name in found.teams},
    }
    return tuple(
        Applied(
            label,
            names.get(key, {}).get(query[key], query[key].replace("_", " ")),
            page_url(nav, page, {name: value for name, value in query.items() if name != key}),
        )
        for key, label in labels.items()
        if key in query
    )


def runs_page(slug: str) -> str:
    """Runs behind a figure, newest first."""
    organization, nav, found = frame(slug)
    query = _query("period", "team", "repository", "provider", "state", "reason", "price", "prompt", "pull")
    span = _window(organization, query.get("period"))
    since, until = bounds(span)
    state = query.get("state")
    pull = _id("pull")
    where = RunFilter(
        since=None if pull else since,  # a pull request's runs are those of its whole life
        until=None if pull else until,
        provider=query.get("provider"),
        prompt_id=query.get("prompt"),
        team_id=_id("team"),
        repository_id=_id("repository"),
        state=state if state in _STATES else None,
        reason=query.get("reason"),
        code=True if state == "code" else None,
        priced=False if query.get("price") == "none" else None,
        pull_request_id=pull,
    )
    cursor = read_run_cursor(request.args.get("cursor"))
    page = run_service.page_of_runs(context().store, organization, where, limit=PAGE, before=cursor)
    totals = run_service.totals(context().store, organization.id, where)
    last = page.rows[-1] if page.more else None
    return render_runs(
        RunsPage(
            rows=tuple(_run_row(row) for row in page.rows),
            total_runs=totals.runs,
            total_cost=totals.cost_nanos,
            unpriced_runs=totals.unpriced,
            query=query,
            applied=_applied("runs", nav, found, query),
            range="Its whole life" if pull else _range(span),
            next_url=page_url(nav, "runs", query | {"cursor": run_cursor(last)}) if last else None,
        ),
        nav,
    )


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
    organization, nav, _ = frame(slug)
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
            run=_run_row(run, _target(counted) if counted else None),
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
                    _target(link),
                    None,
                    "rejected" if link.state == "unlinked" else link.state,
                    sentence(link.evidence),
                    link.confidence,
                )
                for link in found.links
            ),
            unlinked_reason=run.unlinked_reason,
            raw=msgspec.json.format(msgspec.json.encode(details_object(found)), indent=2).decode(),
        ),
        nav,
    )


def _target(link: Any) -> str:
    name = link.repository.rpartition("/")[2]
    return f"{name} #{link.number}" if link.number else f"{name} {(link.commit_sha or '')[:7]}"


def pulls_page(slug: str) -> str:
    """Pull requests behind a figure, latest end first."""
    organization, nav, found = frame(slug)
    query = _query("period", "team", "repository", "provider", "outcome")
    span = _window(organization, query.get("period"))
    page = reports.pull_request_report(
        context().store,
        organization.id,
        window=span,
        filters=Filters(team_id=_id("team"), provider=query.get("provider"), repository_id=_id("repository")),
        outcome=query.get("outcome") if query.get("outcome") in _OUTCOMES else None,
        cursor=request.args.get("cursor"),
        limit=PAGE,
    )
    rows = tuple(
        PullRow(
            number=row.number,
            title=row.title,
            repository=row.repository,
            url=None,
            author=row.author,
            outcome=row.outcome,
            created_at=row.created_at,
            ended_at=row.merged_at or row.closed_at,
            runs=row.runs,
            runs_url=page_url(nav, "runs", {"pull": row.id}),
            cost=row.cost,
            cycle_hours=row.cycle_hours,
        )
        for row in page.rows
    )
    return render_pulls(
        PullsPage(
            rows=rows,
            total_pulls=page.total_pulls,
            total_cost=page.total_cost,
            any_known=found.pulls_known,
            query=query,
            applied=_applied("pulls", nav, found, query),
            range=_range(span),
            next_url=page_url(nav, "pulls", query | {"cursor": page.next_cursor}) if page.next_cursor else None,
        ),
        nav,
    )
