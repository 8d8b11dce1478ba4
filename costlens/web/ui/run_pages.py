"""The list of runs with its files, the page of one run, and search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response, render_template, request

from costlens.domain.errors import NotFound
from costlens.domain.runs import read_id, show_id
from costlens.services import runs as run_service
from costlens.services.exports import every_run
from costlens.services.search import Found, search
from costlens.services.shell import names_of_runs
from costlens.store.runs import RunFilter
from costlens.store.tables import USAGE_COLUMNS
from costlens.web.access import needs
from costlens.web.answers import json_answer
from costlens.web.api.cursors import read_run_cursor, run_cursor
from costlens.web.api.runs import runs_answer, runs_file
from costlens.web.context import context
from costlens.web.histogram import Bars, bars_of
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import query_of, read
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.lists import RunFilters, RunRow, RunsPage, render_runs
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.pulls import pull_page_url, repository_url
from costlens.web.ui.run_detail import render_details
from costlens.web.ui.usage import form_asked, named, path_part

PAGE = 100
_CHOICES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "result": (("succeeded", "Succeeded"), ("failed", "Failed")),
        "price": (("known", "With a price"), ("none", "Without a price")),
        "state": (
            ("code", "All code"),
            ("counted", "Counted"),
            ("suggested", "Suggested"),
            ("pending", "Pending"),
            ("unlinked", "Not linked"),
            ("not_code", "Not code"),
        ),
    }
)


def blueprint() -> Blueprint:
    """The pages."""
    routes = Blueprint("run_pages", __name__, url_prefix="/app/<slug>")
    routes.before_request(signed_in)
    routes.get("/runs")(needs("see_reports")(runs_page))
    routes.get("/runs/<run_id>")(needs("see_reports")(run_page))
    routes.get("/search")(needs("see_reports")(search_page))
    return routes


def runs_page(slug: str) -> Response:
    """Runs behind a figure, newest first, with their days on top; `format` makes a file of them all."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    store = context().store
    chosen = read(RunFilters, request.args, organization.timezone, datetime.now(UTC))
    asked, span = chosen.filters, chosen.window
    options = names_of_runs(store, organization.id, span)
    bar = bar_of(nav, "runs", chosen, options={**options, **_CHOICES}, shown="Its whole life" if asked.pull else None)
    if other := instead(nav, "runs", "Runs", chosen, bar):
        return other
    where, days = filter_of(asked), []
    if not asked.pull:
        days = run_service.days(store, organization.id, span, where)
        since, until = run_service.bounds_of(span, days)
        where = replace(where, since=since, until=until)
    page_of = partial(run_service.page_of_runs, store, organization, where, ascending=asked.ascending)
    before = read_run_cursor(asked.cursor)
    match form_asked():
        case "json":
            return json_answer(runs_answer(page_of(limit=PAGE, before=before)))
        case str(form):
            return runs_file(form, organization, every_run(page_of, limit=None, before=before))
    page = page_of(limit=PAGE, before=before)
    query = query_of(replace(asked, cursor=None))
    bars: tuple[Bars, ...] = ()
    if asked.pull:
        totals = run_service.totals(store, organization.id, where)
    else:
        totals = run_service.total_of(days)
        bars = bars_of(span, days, partial(_day_url, nav, query))
    last = page.rows[-1] if page.more else None
    shown = RunsPage(
        rows=tuple(map(run_row, page.rows)),
        total_runs=totals.runs,
        total_cost=totals.cost_nanos,
        unpriced_runs=totals.unpriced,
        bar=bar,
        started=around.shell.started,
        next_url=page_url(nav, "runs", query | {"cursor": run_cursor(last)}) if last else None,
        first_url=page_url(nav, "runs", query) if asked.cursor else None,
        turned_url=page_url(nav, "runs", query_of(replace(asked, cursor=None, ascending=not asked.ascending))),
        file_url=page_url(nav, "runs", query),
        ascending=asked.ascending,
        bars=bars,
    )
    return Response(render_runs(shown, nav))


def filter_of(asked: RunFilters) -> RunFilter:
    """The filters as runs are asked for, without their time."""
    return RunFilter(
        provider=asked.provider,
        model=asked.model,
        prompt_id=named(asked.prompt),
        session_id=asked.session,
        environment=named(asked.environment),
        tool=named(asked.tool),
        success=None if asked.result is None else asked.result == "succeeded",
        team_id=asked.team,
        repository_id=asked.repository,
        state=None if asked.state == "code" else asked.state,
        reason=asked.reason,
        code=True if asked.state == "code" else None,
        priced=None if asked.price is None else asked.price == "known",
        pull_request_id=asked.pull,
    )


def _day_url(nav: Nav, query: Mapping[str, str], first: date, last: date) -> str:
    kept = {name: value for name, value in query.items() if name not in ("period", "from", "to")}
    return page_url(nav, "runs", kept | {"from": first.isoformat(), "to": last.isoformat()})


def run_row(row: Any, target: str | None = None) -> RunRow:
    """A run as lists show it."""
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


def run_page(slug: str, run_id: str) -> Response:
    """One run: why it costs what it does, what it is linked to, and what came before and after it."""
    around = frame(slug)
    number = read_id("run", run_id)
    if number is None:
        raise NotFound("No such run")
    return render_details(context().store, around.organization, around.nav, number, run_row)


def search_page(slug: str) -> Response:
    """What a text names; the thing itself where there is only one."""
    around = frame(slug)
    nav = around.nav
    text = request.args.get("q", "")
    found = search(context().store, around.organization, text)
    if found.count == 1 and (url := _only(found, nav)):
        return Response(status=302, headers={"Location": url})
    if found.session and found.count == len(found.runs):
        return Response(status=302, headers={"Location": session_url(nav, found.session)})
    return Response(
        render_template(
            "search/index.html",
            nav=nav,
            page="search",
            found=found,
            session_url=session_url(nav, found.session) if found.session else None,
            show_id=show_id,
            prompt_url=lambda name: page_url(nav, "prompts/" + path_part(name), {"period": "12m"}),
            pull_url=lambda pull: pull_page_url(nav, pull.repository, pull.number),
            repository_url=repository_url,
            now=datetime.now(UTC),
        )
    )


def session_url(nav: Nav, session: str) -> str:
    """The runs of a session."""
    return page_url(nav, "runs", {"period": "12m", "session": session})


def _only(found: Found, nav: Nav) -> str | None:
    """The page of the one thing that was found."""
    if found.runs:
        return page_url(nav, f"runs/{show_id('run', found.runs[0]['id'])}")
    if found.pulls:
        return pull_page_url(nav, found.pulls[0].repository, found.pulls[0].number)
    if found.prompts:
        return page_url(nav, "prompts/" + path_part(found.prompts[0]), {"period": "12m"})
    if found.models:
        return page_url(nav, "runs", {"period": "12m", "model": found.models[0]})
    return repository_url(nav, found.repositories[0])
