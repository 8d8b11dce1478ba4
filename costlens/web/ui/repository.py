"""The page of one repository with its tabs, and what is not linked in the whole organization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, request

from costlens.domain.errors import InvalidInput
from costlens.domain.periods import bounds
from costlens.domain.roi import Filters
from costlens.domain.runs import show_id
from costlens.services import reports, repositories
from costlens.services.reports import AI_STATES
from costlens.store.pull_lists import PULL_SORTS
from costlens.store.runs import RunFilter
from costlens.web.access import needs
from costlens.web.context import context
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import Dates, a_text, an_id, one_of, query_of, read, rising
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.nav import page_url
from costlens.web.ui.pull_list import PAGE, file_form, pull_row, pulls_file
from costlens.web.ui.pulls import shown_sentence
from costlens.web.ui.reasons import reason_rows

TABS = {"pulls": "Pull requests", "commits": "Commits", "prompts": "Prompts", "unlinked": "Not linked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFilters(Dates):
    """What the page shows of a repository; None: all."""

    tab: Annotated[str, one_of(TABS)] = "pulls"
    team: Annotated[int | None, an_id] = None  # 0: of no team
    provider: Annotated[str | None, a_text] = None
    outcome: Annotated[str | None, one_of(("merged", "open", "abandoned", "reverted", "closed"))] = None
    ai: Annotated[str | None, one_of(AI_STATES)] = None  # None: those with counted runs
    sort: Annotated[str, one_of(PULL_SORTS)] = "ended"
    ascending: Annotated[bool, rising] = False
    open: Annotated[int | None, an_id] = None  # number of the pull request whose runs are shown
    cursor: Annotated[str | None, a_text] = None  # None: the first page


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonFilters(Dates):
    """Which runs; None: all."""

    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None  # 0: naming no repository
    provider: Annotated[str | None, a_text] = None


def blueprint() -> Blueprint:
    """The two pages."""
    routes = Blueprint("repository", __name__, url_prefix="/app/<slug>")
    routes.before_request(signed_in)
    routes.get("/repositories/<path:repository>")(repository_page)
    routes.get("/unlinked")(unlinked_page)
    return routes


@needs("see_reports")
def repository_page(slug: str, repository: str) -> Response:
    """A repository's pull requests, direct work, prompts, or what is not linked. Raises NotFound."""
    around = frame(slug)
    organization, nav, store = around.organization, around.nav, context().store
    path = f"repositories/{quote(repository)}"
    chosen = read(RepositoryFilters, request.args, organization.timezone, datetime.now(UTC))
    asked, window = chosen.filters, chosen.window
    bar = bar_of(nav, path, chosen)
    if asked.tab != "pulls":
        bar = replace(bar, controls=tuple(one for one in bar.controls if one.name not in ("outcome", "ai")))
    found = repositories.repository(
        store, organization.id, repository, window, Filters(team_id=asked.team, provider=asked.provider)
    )
    if other := instead(nav, path, found.row.name, chosen, bar):
        return other
    narrowed = Filters(team_id=asked.team, provider=asked.provider, repository_id=found.row.id)
    load = partial(
        reports.pull_request_report,
        store,
        organization.id,
        window=window,
        filters=narrowed,
        outcome=asked.outcome,
        ai=asked.ai,
        sort=asked.sort,
        ascending=asked.ascending,
    )
    form = file_form()
    if form and asked.tab != "pulls":
        raise InvalidInput("Only the pull requests of a repository are a file", field="format")
    if form:
        return pulls_file(load, form, asked.cursor, f"{repository.replace('/', '-')}-pull-requests")
    query = query_of(asked)
    span = query_of(asked, "period", "from", "to", "team", "provider")
    runs = span | {"repository": found.row.id}
    zone = ZoneInfo(nav.timezone)
    values: dict[str, object] = {}
    if asked.tab == "pulls":
        page = load(cursor=asked.cursor, limit=PAGE)
        opened = next((row for row in page.rows if row.number == asked.open), None)
        values = {
            "total": page,
            "rows": [pull_row(row, nav) for row in page.rows],
            "links": repositories.runs_of(store, organization.id, opened.id) if opened else (),
            "next_url": page_url(nav, path, query | {"cursor": page.next_cursor, "open": None})
            if page.next_cursor
            else None,
        }
    elif asked.tab == "commits":
        shown, count = repositories.commits(store, organization.id, found.row.id, window, narrowed)
        values = {"commits": shown, "count": count}
    elif asked.tab == "prompts":
        values = {"prompts": repositories.prompts(store, organization.id, found.row.id, window, narrowed)}
    else:
        since, until = bounds(window)
        where = RunFilter(
            since=since,
            until=until,
            provider=asked.provider,
            team_id=asked.team,
            repository_id=found.row.id,
            state="unlinked",
        )
        values = {
            "reasons": reason_rows(found.buckets, nav, runs),
            "unlinked": repositories.not_linked(store, organization, where),
            "unlinked_url": page_url(nav, "runs", runs | {"state": "unlinked"}),
        }

    def here(**changes: object) -> str:
        """This page with other filters, from the first row on."""
        return page_url(nav, path, query | {"cursor": None, "open": None} | changes)

    def sort_url(column: str) -> str:
        turned = column == asked.sort and not asked.ascending
        return page_url(nav, path, query_of(replace(asked, sort=column, ascending=turned, cursor=None, open=None)))

    html = render_template(
        "repositories/repository.html",
        nav=nav,
        page="repositories",
        repository=found.row,
        sync=found.sync,
        buckets=found.buckets,
        filters=asked,
        bar=bar,
        tabs=TABS,
        path=path,
        span=span,
        runs=runs,
        here=here,
        back=page_url(nav, path, query),
        sort_url=sort_url,
        url=f"{context().settings.github_url}/{found.row.name}"
        if found.row.imported_at and not organization.demo
        else None,
        zone=zone,
        show_id=show_id,
        sentence=shown_sentence,
        now=datetime.now(UTC),
        **values,
    )
    return Response(html)


@needs("see_reports")
def unlinked_page(slug: str) -> Response:
    """What no pull request or commit has, by reason, with what fixes each."""
    around = frame(slug)
    nav = around.nav
    chosen = read(ReasonFilters, request.args, around.organization.timezone, datetime.now(UTC))
    asked = chosen.filters
    bar = bar_of(nav, "unlinked", chosen)
    if other := instead(nav, "unlinked", "Not linked", chosen, bar):
        return other
    buckets = repositories.buckets(
        context().store,
        around.organization.id,
        chosen.window,
        Filters(team_id=asked.team, provider=asked.provider, repository_id=asked.repository),
    )
    query = query_of(asked)
    return Response(
        render_template(
            "repositories/unlinked.html",
            nav=nav,
            page="repositories",
            bar=bar,
            buckets=buckets,
            reasons=reason_rows(buckets, nav, query),
            query=query,
            started=around.shell.started,
        )
    )
