"""The pages of prompts: all by cost, and one with its versions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from flask import Blueprint, Response, render_template, request

from costlens.domain.errors import NotFound
from costlens.services import prompts as prompt_service
from costlens.services.prompts import Prompt, PromptDetails, PromptReport
from costlens.services.shell import names_of_runs
from costlens.store.analytics import Amounts
from costlens.web.access import needs
from costlens.web.answers import json_answer
from costlens.web.context import context
from costlens.web.prompt_answers import OUTCOMES, prompt_answer, prompt_file, prompts_answer, prompts_file
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import NONE, Chosen, one_of, query_of, read, rising
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.usage import (
    NARROWED,
    SHOWN,
    SORT_VALUES,
    SPAN,
    UsageFilters,
    form_asked,
    in_order,
    path_part,
    per_run,
    where_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFilters(UsageFilters):
    """Whose runs, and the order of the table."""

    sort: Annotated[str, one_of(SORT_VALUES)] = "cost"
    ascending: Annotated[bool, rising] = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    kind: str  # prompt, none, other, total
    name: str
    versions: tuple[str, ...]
    sums: Amounts
    url: str | None  # its own page. None: it has none
    runs_url: str | None  # the runs behind it. None: they are no single filter


@dataclass(frozen=True, slots=True)
class Column:
    """One version beside the others, or all of them together."""

    prompt_id: str | None  # None: all versions
    title: str
    sums: Amounts
    before: int | None  # cost per run of the version before, in nano-dollars. None: there is none
    models: Sequence[tuple[str, Amounts, str]]  # name, sums, and the runs behind them; dearest first
    outcomes: Mapping[str, tuple[int, int]]  # outcome → pull requests, cost
    runs_url: str | None

    @property
    def counted(self) -> int:
        """Cost that is counted for any work, in nano-dollars."""
        return sum(cost for _, cost in self.outcomes.values())


def blueprint() -> Blueprint:
    """The two pages."""
    routes = Blueprint("prompt_pages", __name__, url_prefix="/app/<slug>/prompts")
    routes.before_request(signed_in)
    routes.get("")(needs("see_reports")(prompts_page))
    routes.get("/<path:prompt_id>")(needs("see_reports")(prompt_page))
    return routes


def prompts_page(slug: str) -> Response:
    """Prompts by their name without the version, with rows for runs that name none and for the tail."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(PromptFilters, request.args, organization.timezone, datetime.now(UTC))
    bar = bar_of(nav, "prompts", chosen, options=names_of_runs(context().store, organization.id, chosen.window))
    if other := instead(nav, "prompts", "Prompts", chosen, bar):
        return other
    report = prompt_service.prompts(context().store, organization, chosen.window, where_of(chosen.filters))
    match form_asked():
        case "json":
            return json_answer(prompts_answer(report))
        case str(form):
            return prompts_file(form, organization, report)
    filters = chosen.filters
    basis = query_of(filters, *SPAN, *NARROWED)
    lines = lines_of(report, nav, chosen)

    def sort_url(column: str) -> str:
        turned = column == filters.sort and not filters.ascending
        return page_url(nav, "prompts", query_of(replace(filters, sort=column, ascending=turned)))

    return Response(
        render_template(
            "prompts/list.html",
            nav=nav,
            page="prompts",
            bar=bar,
            filters=filters,
            report=report,
            lines=lines,
            total=report.total,
            runs_url=page_url(nav, "runs", basis),
            failed_url=page_url(nav, "runs", basis | {"result": "failed"}),
            started=around.shell.started,
            sort_url=sort_url,
            file_url=page_url(nav, "prompts", query_of(filters)),
        )
    )


def lines_of(report: PromptReport, nav: Nav, chosen: Chosen[PromptFilters]) -> list[Line]:
    """The rows above the total, which they add up to."""
    filters = chosen.filters
    basis = query_of(filters, *SPAN, *NARROWED)
    value_of = SORT_VALUES[filters.sort]
    ordered = in_order(report.prompts, lambda one: value_of(one.sums), ascending=filters.ascending)
    lines = [_line(one, nav, basis) for one in ordered[:SHOWN]]
    if rest := ordered[SHOWN:]:
        sums = Amounts(*(sum(getattr(one.sums, each.name) for one in rest) for each in fields(Amounts)))
        lines.append(Line("other", f"{len(rest):,} other prompts", (), sums, None, None))
    if report.none:
        runs_url = page_url(nav, "runs", basis | {"prompt": NONE})
        lines.append(Line("none", "No promptId", (), report.none, None, runs_url))
    return lines


def _line(one: Prompt, nav: Nav, basis: Mapping[str, str]) -> Line:
    url = page_url(nav, "prompts/" + path_part(one.name), basis)
    versions = tuple(version.prompt_id for version in one.versions)
    runs_url = page_url(nav, "runs", {**basis, "prompt": versions[0]}) if len(versions) == 1 else None
    return Line("prompt", one.name, versions, one.sums, url, runs_url)


def prompt_page(slug: str, prompt_id: str) -> Response:
    """One prompt: cost per run, success, latency, models and merged work of each version. Raises NotFound."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    page = "prompts/" + path_part(prompt_id)
    chosen = read(UsageFilters, request.args, organization.timezone, datetime.now(UTC))
    bar = bar_of(nav, page, chosen, options=names_of_runs(context().store, organization.id, chosen.window))
    if other := instead(nav, page, prompt_id, chosen, bar):
        return other
    form, found = form_asked(), None
    try:
        where = where_of(chosen.filters)
        found = prompt_service.prompt(context().store, organization, chosen.window, prompt_id, where)
    except NotFound:
        if form or not prompt_service.is_known(context().store, organization, prompt_id):
            raise
    if found and form:
        return json_answer(prompt_answer(found)) if form == "json" else prompt_file(form, organization, found)
    basis = query_of(chosen.filters, *SPAN, *NARROWED)
    return Response(
        render_template(
            "prompts/prompt.html",
            nav=nav,
            page="prompts",
            bar=bar,
            path=page,
            name=prompt_service.base_name(prompt_id),
            columns=columns_of(found, nav, basis) if found else [],
            outcomes=OUTCOMES,
            list_url=page_url(nav, "prompts", basis),
            file_url=page_url(nav, page, query_of(chosen.filters)),
        )
    )


def columns_of(found: PromptDetails, nav: Nav, basis: Mapping[str, str]) -> list[Column]:
    """A column for each version, the oldest first, and one for all where there are several."""
    columns: list[Column] = []
    for one in found.prompt.versions:
        query = {**basis, "prompt": one.prompt_id}
        models = [
            (row.model, row, page_url(nav, "runs", {**query, "model": row.model}))
            for row in found.models[one.prompt_id]
        ]
        before = per_run(columns[-1].sums) if columns else None
        title = one.version or one.prompt_id
        runs_url = page_url(nav, "runs", query)
        outcomes = _outcomes(found.shipped.get(one.prompt_id, ()))
        columns.append(Column(one.prompt_id, title, one.sums, before, models, outcomes, runs_url))
    if len(columns) > 1:
        outcomes = _outcomes(found.shipped[None])
        columns.append(Column(None, "All versions", found.prompt.sums, None, (), outcomes, None))
    return columns


def _outcomes(shipped: Sequence[Any]) -> dict[str, tuple[int, int]]:
    return {one.outcome: (one.pulls, one.cost_nanos) for one in shipped}
