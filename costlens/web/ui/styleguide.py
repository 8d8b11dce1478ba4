"""Every component of the pages in both themes, with made-up values: to look at when one is changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flask import Blueprint, current_app, render_template
from flask_login import login_required

from costlens.web import charts
from costlens.web.ui.filter_bar import Bar, bar_of
from costlens.web.ui.filters import read
from costlens.web.ui.lists import RunFilters
from costlens.web.ui.nav import Nav
from costlens.web.ui.snippets import first_run_snippets

_NAV = Nav(
    "Acme",
    "acme",
    "http://127.0.0.1:8787",
    teams=((1, "Payments"), (2, "Storefront")),
    repositories=((1, "acme/checkout-api"), (2, "acme/web-storefront")),
    providers=("anthropic", "openai"),
)
_QUERY = {"period": "7d", "team": "1", "state": "unlinked"}
_TREND = (4, 6, 5, 9, 2, 1, 7, 8, 6, 9, 12, 3, 2, 8)


def blueprint() -> Blueprint:
    """The page: for people who are signed in, or for anybody on a server in debug mode."""
    routes = Blueprint("styleguide", __name__)
    routes.get("/styleguide")(login_required(styleguide_page))

    @routes.before_request
    def open_in_debug_mode() -> str | None:
        return styleguide_page() if current_app.debug else None

    return routes


def styleguide_page() -> str:
    """The HTML of the page."""
    now = datetime.now(UTC)
    return render_template(
        "styleguide/index.html",
        nav=None,
        page=None,
        bar=_bar(now),
        snippets={
            theme: [replace(each, label=f"{each.label}, {theme}") for each in first_run_snippets(_NAV.base_url, None)]
            for theme in ("light", "dark")
        },
        sparkline=charts.sparkline(_TREND),
        done=18_000,
        total=56_000,
        now=now,
        earlier=now - timedelta(minutes=4),
    )


def _bar(now: datetime) -> Bar:
    options = {"model": ["claude-sonnet-4.6", "gpt-5.4"], "environment": ["none", "ci", "production"]}
    return bar_of(_NAV, "runs", read(RunFilters, _QUERY, "UTC", now), options=options)
