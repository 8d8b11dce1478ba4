"""Reports that are kept: the list, one report on screen and paper, one made on demand, and who gets the weekly ones."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, flash, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.periods import local_day, window
from costlens.domain.team_report import KINDS, worth_a_look
from costlens.services import asked_reports, team_reports, weekly_mail
from costlens.services.report_documents import estimated_of
from costlens.services.report_lines import against, figure_lines, seats_words
from costlens.services.team_reports import SCOPES, Stored
from costlens.web.access import current_member, needs
from costlens.web.context import context
from costlens.web.ui.filters import PERIODS
from costlens.web.ui.frame import frame, leave_when_signed_out, signed_in
from costlens.web.ui.nav import Nav, page_url

PAGE = "reports"
ROWS = 50
KIND_WORDS = {"day": "nightly", "week": "weekly", "month": "monthly", "asked": "on demand"}


def blueprint() -> Blueprint:
    """The list, what it asks for while a report is made, one report, and the two forms."""
    routes = Blueprint("team_reports", __name__, url_prefix="/app/<slug>/reports")
    routes.before_request(leave_when_signed_out)
    routes.before_request(signed_in)
    routes.get("")(list_page)
    routes.get("/progress")(progress)
    routes.post("")(make)
    routes.post("/weekly")(subscribe)
    routes.get("/<int:report_id>")(report_page)
    return routes


def unsubscribe_routes() -> Blueprint:
    """The link in a weekly e-mail, which needs no sign-in."""
    routes = Blueprint("unsubscribe", __name__, url_prefix="/unsubscribe/<token>")
    routes.get("")(show_unsubscribe)
    routes.post("")(unsubscribe)
    return routes


@needs("see_reports")
def list_page(slug: str) -> str:
    """Stored reports, the newest first, by kind and subject."""
    around = frame(slug)
    store, organization = context().store, around.organization
    kind = request.args.get("kind", "")
    subject, before = _subject(request.args.get("of", "")), request.args.get("before", "")
    found = team_reports.heads(
        store,
        organization.id,
        kind=kind if kind in KINDS else None,
        subject=subject,
        before=int(before) if before.isdecimal() and len(before) < 18 else None,
        limit=ROWS + 1,
    )
    readers = weekly_mail.readers(store, organization.id)
    queue = context().queue
    job, busy = asked_reports.last_job(queue, organization.id), asked_reports.under_way(queue, organization.id)
    return render_template(
        "reports/list.html",
        nav=around.nav,
        page=PAGE,
        heads=found[:ROWS],
        older=found[ROWS - 1].id if len(found) > ROWS else None,
        kind=kind,
        of=request.args.get("of", ""),
        kind_words=KIND_WORDS,
        periods=PERIODS,
        readers=readers,
        me=current_member().member_id,
        mail=context().settings.mail is not None,
        job=job,
        busy=busy is not None,
        workers=queue.workers() if busy else 0,
        now=datetime.now(UTC),
    )


@needs("see_reports")
def progress(slug: str) -> Response:
    """The part of the list that moves; once the job ended the whole page loads anew."""
    around = frame(slug)
    job = asked_reports.under_way(context().queue, around.organization.id)
    if job is None:
        return Response(headers={"HX-Refresh": "true"})
    return Response(
        render_template("reports/_progress.html", nav=around.nav, job=job, workers=context().queue.workers())
    )


@needs("see_reports")
def make(slug: str) -> AnyResponse:
    """Has a worker make a report of a team, a repository or everything."""
    organization = frame(slug).organization
    scope, id = _subject(request.form.get("of", "")) or ("organization", 0)
    today = local_day(datetime.now(UTC), organization.timezone)
    start, end = request.form.get("from") or None, request.form.get("to") or None
    span = window(request.form.get("period"), organization.timezone, today, start=start, end=end)
    asked_reports.ask(context().store, context().queue, organization.id, scope, id, span, again=True)
    return redirect(f"/app/{slug}/{PAGE}", 303)


@needs("see_reports")
def subscribe(slug: str) -> AnyResponse:
    """Has a team's weekly report sent to the member, or stops that."""
    text = request.form.get("team", "")
    try:
        if not text.isdecimal() or len(text) > 18:
            raise NotFound("No such team")
        wanted = request.form.get("wanted") == "yes"
        team = weekly_mail.set_subscription(context().store, current_member(), int(text), wanted)
        flash(f"You {'get' if wanted else 'no longer get'} the weekly report of {team} by e-mail", "done")
    except NotFound as error:
        flash(error.message, "error")
    return redirect(f"/app/{slug}/{PAGE}", 303)


@needs("see_reports")
def report_page(slug: str, report_id: int) -> Response:
    """One report as it was made, on screen, as JSON or as CSV. Raises NotFound."""
    around = frame(slug)
    store, organization = context().store, around.organization
    found = team_reports.load(store, organization.id, report_id)
    form = request.args.get("format")
    if form in ("json", "csv"):
        return as_file(found, form)
    previous = team_reports.load_previous(store, organization.id, report_id)
    return Response(render_report(found, previous, around.nav))


def render_report(found: Stored, previous: Stored | None, nav: Nav) -> str:
    """The HTML of a report."""
    report = found.inputs.roi
    return render_template(
        "reports/report.html",
        nav=nav,
        page=PAGE,
        found=found,
        head=found.head,
        inputs=found.inputs,
        report=report,
        lines=figure_lines(report),
        seats=seats_words(report),
        findings=[(one, page_url(nav, one.page, one.query)) for one in worth_a_look(found.inputs)],
        estimated=estimated_of(found.inputs),
        effects=(found.document["comparison"] or {}).get("metrics", []),
        previous=previous,
        differences=against(report, previous.inputs.roi) if previous else [],
        kind_words=KIND_WORDS,
        live_url=page_url(
            nav,
            "teams" if report.scope == "team" else "repositories",
            {
                "from": found.head.first,
                "to": found.head.last,
                **({found.head.subject.scope: found.head.subject.id} if found.head.subject.id else {}),
            },
        ),
    )


def as_file(found: Stored, form: str) -> Response:
    """A report as a file to keep: the same bytes whenever it is fetched."""
    head = found.head
    name = f"report-{head.id}-{head.first}-{head.last}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if form == "json":
        return Response(found.json, mimetype="application/json", headers=headers)
    return Response(found.csv, mimetype="text/csv", headers=headers)


def show_unsubscribe(token: str) -> tuple[str, int]:
    """What the link would stop, with the button that does: mail programs open links by themselves."""
    found = weekly_mail.find_subscription(context().store, context().settings, token)
    return _unsubscribe_page(found, stopped=False)


def unsubscribe(token: str) -> tuple[str, int]:
    """Stops the weekly e-mail; also what mail programs send for their own button."""
    found = weekly_mail.stop(context().store, context().settings, token)
    return _unsubscribe_page(found, stopped=True)


def _unsubscribe_page(found: weekly_mail.Subscription | None, *, stopped: bool) -> tuple[str, int]:
    text = render_template("reports/unsubscribe.html", nav=None, page=None, found=found, stopped=stopped)
    return text, 200 if found else 404


def _subject(text: str) -> tuple[str, int] | None:
    """`team-3`, `repository-7` or `organization-0`. None: anything else."""
    scope, _, id = text.partition("-")
    if scope in SCOPES and id.isascii() and id.isdecimal() and len(id) < 18:
        return scope, int(id)
    if text:
        raise InvalidInput("of names a team, a repository or the organization", field="of")
    return None
