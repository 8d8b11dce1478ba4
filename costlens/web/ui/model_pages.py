"""The page of models: cost, prices, what has none, and what prompt caches saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

from flask import Blueprint, Response, render_template, request

from costlens.domain.cache_savings import CacheSavings, sum_of_savings
from costlens.services.models import ModelReport, ModelUse, models
from costlens.services.shell import names_of_runs
from costlens.store.usage import TokenSums, sum_of
from costlens.web.access import current_member, needs
from costlens.web.answers import json_answer
from costlens.web.context import context
from costlens.web.model_answers import models_answer, models_file
from costlens.web.ui.filter_bar import bar_of, instead
from costlens.web.ui.filters import Chosen, one_of, query_of, read, rising
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
    where_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFilters(UsageFilters):
    """Whose runs, and the order of the table."""

    sort: Annotated[str, one_of(SORT_VALUES)] = "cost"
    ascending: Annotated[bool, rising] = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: a model, or the tail of them."""

    use: ModelUse | None  # None: the others
    name: str
    sums: TokenSums
    savings: CacheSavings | None  # None: no price is known
    runs_url: str | None  # None: they are no single filter
    price_url: str | None  # where its price is set. None: the others
    reprice_url: str | None  # where its runs are priced anew. None: the others

    @property
    def unpriced_runs(self) -> int:
        """Runs whose cost is unknown."""
        return self.sums.runs - self.sums.priced_runs


def blueprint() -> Blueprint:
    """The page."""
    routes = Blueprint("model_pages", __name__, url_prefix="/app/<slug>/models")
    routes.before_request(signed_in)
    routes.get("")(needs("see_reports")(models_page))
    return routes


def models_page(slug: str) -> Response:
    """Models with what they cost; those without a price first."""
    around = frame(slug)
    organization, nav = around.organization, around.nav
    chosen = read(ModelFilters, request.args, organization.timezone, datetime.now(UTC))
    bar = bar_of(nav, "models", chosen, options=names_of_runs(context().store, organization.id, chosen.window))
    if other := instead(nav, "models", "Models", chosen, bar):
        return other
    filters = chosen.filters
    report = models(context().store, organization, chosen.window, where_of(filters))
    match form_asked():
        case "json":
            return json_answer(models_answer(report))
        case str(form):
            return models_file(form, organization, report)
    basis = query_of(filters, *SPAN, *NARROWED)

    def sort_url(column: str) -> str:
        turned = column == filters.sort and not filters.ascending
        return page_url(nav, "models", query_of(replace(filters, sort=column, ascending=turned)))

    return Response(
        render_template(
            "models/list.html",
            nav=nav,
            page="models",
            bar=bar,
            filters=filters,
            report=report,
            lines=lines_of(report, nav, chosen, basis),
            total=report.total,
            savings=report.savings,
            runs_url=page_url(nav, "runs", basis),
            unpriced_url=page_url(nav, "runs", basis | {"price": "none"}),
            started=around.shell.started,
            keeper=current_member().may("manage_prices"),
            sort_url=sort_url,
            file_url=page_url(nav, "models", query_of(filters)),
        )
    )


def lines_of(report: ModelReport, nav: Nav, chosen: Chosen[ModelFilters], basis: Mapping[str, str]) -> Sequence[Line]:
    """The rows above the total, which they add up to; whoever has runs without a price first."""
    filters = chosen.filters
    value_of = SORT_VALUES[filters.sort]
    ordered = in_order(report.models, lambda one: value_of(one.sums), ascending=filters.ascending)
    ordered = sorted(ordered, key=lambda one: not one.unpriced_runs)
    lines = [_line(one, nav, basis) for one in ordered[:SHOWN]]
    if rest := ordered[SHOWN:]:
        savings = sum_of_savings(each for one in rest if (each := one.savings))
        name = f"{len(rest):,} other models"
        lines.append(Line(None, name, sum_of([one.sums for one in rest]), savings, None, None, None))
    return lines


def _line(one: ModelUse, nav: Nav, basis: Mapping[str, str]) -> Line:
    named = {"provider": one.sums.provider, "model": one.sums.model}
    return Line(
        use=one,
        name=one.sums.model,
        sums=one.sums,
        savings=one.savings,
        runs_url=page_url(nav, "runs", {**basis, **named}),
        price_url=page_url(nav, "models/prices", named) + "#set",
        reprice_url=page_url(nav, "models/prices/reprice", named),
    )
