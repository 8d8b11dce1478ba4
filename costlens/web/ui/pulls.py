"""The page of one pull request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template
from markupsafe import Markup, escape

from costlens.domain.linking import sentence
from costlens.domain.runs import show_id
from costlens.services.pulls import LARGEST, PullDetails, pull_details, pull_url
from costlens.web import charts
from costlens.web.access import needs
from costlens.web.context import context
from costlens.web.ui.frame import frame, signed_in
from costlens.web.ui.nav import Nav, page_url

SHOWN = 50  # runs; the others are one row with their sum


def blueprint() -> Blueprint:
    """The page."""
    routes = Blueprint("pull", __name__, url_prefix="/app/<slug>/pulls")
    routes.before_request(signed_in)
    routes.get("/<path:repository>/<int:number>")(pull_page)
    return routes


@needs("see_reports")
def pull_page(slug: str, repository: str, number: int) -> str:
    """What a pull request cost and why, its course, and what it has cost since. Raises NotFound."""
    around = frame(slug)
    found = pull_details(context().store, around.organization, repository, min(number, LARGEST), limit=SHOWN)
    return render_pull(found, around.nav, pull_url(context().settings.github_url, around.organization, found.pull))


def render_pull(found: PullDetails, nav: Nav, url: str | None) -> str:
    """The HTML of the page; `url` is the pull request on GitHub, None: nowhere."""
    zone = ZoneInfo(nav.timezone)

    def local(moment: datetime | None) -> datetime | None:
        return moment.astimezone(zone) if moment else None

    shown = sum(row.linked_nanos for row in found.runs)
    return render_template(
        "pulls/pull.html",
        nav=nav,
        page="pulls",
        found=found,
        pull=found.pull,
        url=url,
        here=pull_page_url(nav, found.pull.repository, found.pull.number),
        earlier_runs=found.counted.runs - len(found.runs),
        earlier_cost=found.counted.cost - shown,
        chart=charts.model_chart(found.days),
        dots=charts.dots(found.rank),
        local=local,
        show_id=show_id,
        sentence=shown_sentence,
        now=datetime.now(UTC),
    )


def pull_page_url(nav: Nav, repository: str, number: int) -> str:
    """The address of a pull request's page."""
    return page_url(nav, f"pulls/{quote(repository)}/{number}")


def repository_url(nav: Nav, repository: str, query: Mapping[str, object] | None = None) -> str:
    """The address of a repository's page."""
    return page_url(nav, f"repositories/{quote(repository)}", query)


def shown_sentence(evidence: dict[str, object]) -> Markup:
    """The evidence as a line whose names in backticks are code."""
    parts = sentence(evidence).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )
