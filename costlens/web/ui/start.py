"""The first steps of an organization: a checklist, the first run from a snippet, and a page that waits for it live."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, render_template

from costlens.domain.runs import show_id
from costlens.services.first_steps import FirstSteps, first_steps, has_runs
from costlens.web.access import needs
from costlens.web.auth import current_organization
from costlens.web.context import context
from costlens.web.ui.frame import frame, leave_when_signed_out, signed_in
from costlens.web.ui.nav import Nav, page_url
from costlens.web.ui.snippets import first_run_snippets


def blueprint() -> Blueprint:
    """The page, and what it asks for while it waits."""
    routes = Blueprint("start", __name__, url_prefix="/app/<slug>/start")
    routes.before_request(leave_when_signed_out)
    routes.before_request(signed_in)
    routes.get("")(needs("see_reports")(first_page))
    routes.get("/first-run")(needs("see_reports")(first_run))
    return routes


def first_page(slug: str) -> str:
    """The checklist; also what the first page of an organization shows while it has no run."""
    around = frame(slug)
    return render_start(first_steps(context().store, around.organization), around.nav)


def first_run(slug: str) -> Response:
    """The first run once it is there, to be put in place of the wait; 204 until then."""
    organization = current_organization(slug)
    if not has_runs(context().store, organization.id):
        return Response(status=204)
    return Response(render_first_run(first_steps(context().store, organization), frame(slug).nav))


def render_start(steps: FirstSteps, nav: Nav, *, key: str | None = None, now: datetime | None = None) -> str:
    """The HTML of the page; `key` is shown in the snippets, once, right after it was made. `now` is aware."""
    snippets = first_run_snippets(nav.base_url, key)
    return render_template(
        "start/index.html", nav=nav, page="start", key=key, snippets=snippets, **_shown(steps, nav, now)
    )


def render_first_run(steps: FirstSteps, nav: Nav) -> str:
    """The HTML of the first run alone."""
    return render_template("start/first_run.html", nav=nav, **_shown(steps, nav, None))


def _shown(steps: FirstSteps, nav: Nav, now: datetime | None) -> dict[str, object]:
    run_url = page_url(nav, f"runs/{show_id('run', steps.run.id)}") if steps.run else None
    return {"steps": steps, "run_url": run_url, "now": now or datetime.now(UTC)}
