"""A plain Flask application that serves every page from fixtures, under the policy of the real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask, Response, g, render_template
from werkzeug.exceptions import Gone, RequestEntityTooLarge

from costlens.domain.errors import Forbidden, InvalidInput, NotFound, RateLimited, Unavailable
from costlens.domain.roi import RoiReport, Window
from costlens.queue import JobState
from costlens.services.first_steps import FirstSteps
from costlens.store.organizations import Organization
from costlens.web.errors import set_up_errors
from costlens.web.static_files import set_up_static_files
from costlens.web.templating import set_up_templates
from costlens.web.ui.demo import DemoPage, render_demo
from costlens.web.ui.filter_bar import bar_of
from costlens.web.ui.filters import read
from costlens.web.ui.lists import (
    EvidenceLine,
    PullFilters,
    PullRow,
    PullsPage,
    RunDetail,
    RunFilters,
    RunRow,
    RunsPage,
    TokenLine,
    render_pulls,
    render_run,
    render_runs,
)
from costlens.web.ui.nav import Nav
from costlens.web.ui.roi import RoiFilters, roi_blueprint
from costlens.web.ui.start import render_start
from costlens.web.ui.styleguide import styleguide_page
from costlens.web.ui.team_reports import render_report
from tests.web.kept_fixture import kept_report
from tests.web.roi_fixture import REPOSITORIES, TEAMS, roi_report

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
NAV = Nav(
    organization="Acme",
    slug="acme",
    base_url="http://127.0.0.1:8787",
    teams=tuple((id, name) for name, id in TEAMS.items()),
    repositories=tuple((at + 1, row[0]) for at, row in enumerate(REPOSITORIES)),
    providers=("anthropic", "openai"),
    role="owner",
    user="alice@example.com",
    sign_out_url="/sign-out",
)
RUN = RunRow(
    id="run_01kak3x7v9",
    occurred_at=NOW - timedelta(minutes=4),
    provider="anthropic",
    model="claude-sonnet-4.6",
    prompt="review-v2",
    repository="checkout-api",
    team="Payments",
    person="alice",
    tokens=148_204,
    latency_ms=41_812,
    success=True,
    cost=251_306_400,
    estimated=False,
    state="counted",
    target="checkout-api #482",
    target_url="https://github.com/example/checkout-api/pull/482",
)
RUNS = RunsPage(
    rows=(
        RUN,
        replace(RUN, id="run_2", cost=4_200_000, estimated=True, state="pending", target=None, target_url=None),
        replace(RUN, id="run_3", cost=None, success=False, state="unlinked", person=None, repository=None, target=None),
    ),
    total_runs=1_204,
    total_cost=1_056_250_000_000,
    unpriced_runs=1,
    bar=bar_of(
        NAV,
        "runs",
        read(RunFilters, {"repository": "2", "period": "7d", "state": "not_code"}, "UTC", NOW),
        options={"model": ["claude-sonnet-4.6", "gpt-5.4"], "environment": ["none", "ci", "production"]},
    ),
    next_url="/app/acme/runs?period=7d&repository=2&before=run_3",
)
DETAIL = RunDetail(
    run=RUN,
    lines=(
        TokenLine("Input, not cached", 12_204, "$3.00", 36_612_000),
        TokenLine("Cache read", 120_000, "$0.30", 36_000_000),
        TokenLine("Output", 16_000, "$11.1684", 178_694_400),
    ),
    price_facts=(("Price source", "genai-prices"), ("Tier", "standard")),
    facts=(("Session", "b2d90e71"), ("Branch", "fix/capture-retry")),
    evidence=(
        EvidenceLine(
            "checkout-api #482",
            "https://github.com/example/checkout-api/pull/482",
            "counted",
            "same branch, same author, 18 minutes before the commit (B1, 0.90)",
            900,
        ),
    ),
    unlinked_reason=None,
    raw='{\n  "id": "run_01kak3x7v9"\n}',
)
PULL = PullRow(
    number=482,
    title="Retry idempotent captures after gateway timeouts",
    repository="checkout-api",
    url="/app/acme/pulls/example/checkout-api/482",
    author="alice",
    outcome="merged",
    created_at=NOW - timedelta(days=3),
    ended_at=NOW - timedelta(hours=5),
    runs=37,
    runs_url="/app/acme/runs?pull=482",
    cost=12_410_000_000,
    cycle_hours=21.4,
)
PULLS = PullsPage(
    rows=(
        PULL,
        replace(PULL, number=479, title="Rename capture states", outcome="open", ended_at=None, cycle_hours=None),
    ),
    total_pulls=84,
    total_runs=3_021,
    total_cost=726_600_000_000,
    any_known=True,
    bar=bar_of(NAV, "pulls", read(PullFilters, {"outcome": "merged"}, "UTC", NOW)),
)


ERRORS = {
    400: InvalidInput("cursor must be one that an earlier page gave", field="cursor"),
    403: Forbidden("Only an owner of the organization loads and removes the demo organization"),
    404: NotFound("No such run"),
    410: Gone(),
    413: RequestEntityTooLarge(),
    429: RateLimited("Too many requests", retry_after=12),
    503: Unavailable("The queue does not answer, so nothing can be loaded now", retry_after=5),
}
FIRST_RUN = SimpleNamespace(
    id=1 << 40, model="claude-sonnet-4.6", cost_nanos=11_700_000, received_at=NOW - timedelta(seconds=2)
)
STEPS = FirstSteps(
    Organization(1, "Acme", "new", "self-hosted", "Europe/Berlin", None, False), "First key", None, False, ()
)


def demo_page(**changes: Any) -> DemoPage:
    """The page of somebody whose demo organization is there."""
    there = DemoPage(replace(STEPS.organization, name="Acme demo", slug="acme-demo", demo=True), None, None, 1)
    return replace(there, **changes)


def report_of(organization: str, scope: str, span: Window, filters: RoiFilters) -> RoiReport:
    """The report of each made-up organization: as usual, with every warning at once, or new."""
    report = roi_report(scope)
    if organization == "acme":
        return report
    if organization == "new":
        return replace(report, data_through=None)
    if organization == "poor":
        spend = replace(report.total.spend, unpriced_runs=3, suggested=4_000 * 10**9)
        total = replace(report.total, spend=spend, break_even_minutes=None, required_hours=None)
        rows = tuple(replace(row, figures=replace(row.figures, break_even_minutes=None)) for row in report.rows)
        return replace(
            report, organization="Poor & Co", hourly_cost_cents=None, total=total, rows=rows, exact_share=0.97
        )
    raise NotFound("no such organization")


def nav_of(slug: str) -> Nav:
    """The frame of each made-up organization; another is in the switcher."""
    if slug not in ("acme", "new", "poor"):
        raise NotFound("No such organization, or you are not a member of it")
    g.nav = replace(NAV, slug=slug, started=slug != "new", others=(("umbrella", "Umbrella"),))
    return g.nav


def pages_app(report: Callable[[str, str, Window, RoiFilters], RoiReport] = report_of) -> Flask:
    """The application; every answer carries the content security policy of the real one."""
    app = Flask("costlens", root_path=str(ROOT / "costlens"), template_folder=str(ROOT / "templates"))
    set_up_templates(app)
    set_up_static_files(app)
    set_up_errors(app)
    app.register_blueprint(roi_blueprint(nav_of, report, lambda slug: render_start(STEPS, nav_of(slug), now=NOW)))
    pages: dict[str, Callable[[], str]] = {
        "/app/acme/runs": lambda: render_runs(RUNS, NAV, now=NOW),
        "/app/acme/runs/run_01kak3x7v9": lambda: render_run(DETAIL, NAV),
        "/app/acme/pulls": lambda: render_pulls(PULLS, NAV, now=NOW),
        "/app/new/runs": lambda: render_runs(replace(RUNS, rows=(), started=False, next_url=None), nav_of("new")),
        "/app/new/pulls": lambda: render_pulls(replace(PULLS, rows=(), any_known=False), nav_of("new")),
        "/app/acme/nothing": lambda: render_runs(replace(RUNS, rows=(), unpriced_runs=0, next_url=None), NAV),
        "/app/new/start": lambda: render_start(STEPS, nav_of("new"), key=f"cl_{'0123456789abcdef' * 4}", now=NOW),
        "/app/acme/start": lambda: render_start(
            replace(STEPS, run=FIRST_RUN, pulls_known=True, teams=("Payments", "Storefront")), nav_of("acme"), now=NOW
        ),
        "/app/acme/demo": lambda: render_demo(demo_page(), NAV),
        "/app/new/demo": lambda: render_demo(demo_page(demo=None, removing=JobState("failed", {})), nav_of("new")),
        "/app/poor/demo": lambda: render_demo(
            demo_page(loading=JobState("running", {"what": "Runs", "done": 18_000, "total": 56_355})), nav_of("poor")
        ),
        "/app/acme/reports/2": lambda: render_report(kept_report(2), kept_report(), NAV),
        "/styleguide": styleguide_page,
        "/sign-in": lambda: render_template(
            "sign_in/index.html", nav=None, page=None, github=False, mail=None, error=None, email=""
        ),
        "/sign-in/expired": lambda: render_template("sign_in/expired.html", nav=None, page=None),
    }
    for path, view in pages.items():
        app.add_url_rule(path, path, view)
    for path in ("/app/poor/demo/progress", "/app/new/start/first-run"):  # nothing has changed yet
        app.add_url_rule(path, path, lambda: ("", 204))

    for endpoint in ("with_password", "forgotten_page", "to_github"):  # where the forms of the sign-in page lead
        app.add_url_rule(f"/sign-in/{endpoint}", f"sign_in.{endpoint}", lambda: "", methods=["GET", "POST"])

    @app.get("/app/acme/errors/<int:status>")
    def error(status: int) -> str:
        nav_of("acme")
        if status == 500:
            raise RuntimeError("as an unexpected error does")
        raise ERRORS[status]

    @app.after_request
    def policy(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    return app
