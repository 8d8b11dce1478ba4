"""The demo organization on screen: an owner loads it beside the own one, and removes it; a worker does the work."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from costlens.domain.errors import Forbidden, InvalidInput, NotFound, Unavailable
from costlens.queue import JobState
from costlens.services.shell import own_demo
from costlens.store.organizations import Organization
from costlens.web.access import needs
from costlens.web.auth import current_account
from costlens.web.context import context
from costlens.web.ui.frame import Frame, frame, leave_when_signed_out, signed_in
from costlens.web.ui.nav import Nav, organization_url, page_url

SECONDS = 900  # the longest that loading may take
SPANS = {"91": "13 weeks of runs", "14": "2 weeks of runs"}  # by days, the usual one first


@dataclass(frozen=True, slots=True)
class DemoPage:
    """What the page tells; jobs are None where nothing is asked for."""

    demo: Organization | None  # None: this account has none
    loading: JobState | None
    removing: JobState | None
    workers: int | None  # None: the queue is away

    @property
    def busy(self) -> JobState | None:
        """The job that is waited for. None: neither is."""
        return next(
            (job for job in (self.removing, self.loading) if job and job.status in ("waiting", "running")), None
        )


def blueprint() -> Blueprint:
    """The page, what it asks for while it waits, and its two forms."""
    routes = Blueprint("demo", __name__, url_prefix="/app/<slug>/demo")
    routes.before_request(leave_when_signed_out)
    routes.before_request(signed_in)
    routes.get("")(needs("manage_demo")(show))
    routes.get("/progress")(needs("manage_demo")(progress))
    routes.post("")(needs("manage_demo")(load))
    routes.post("/removal")(needs("manage_demo")(remove))
    return routes


def show(slug: str) -> str:
    """The state of the account's demo organization, with what can be done."""
    around, user_id = _owner(slug)
    return render_demo(_state(user_id), around.nav)


def progress(slug: str) -> Response:
    """The part of the page that moves; once the job ended the whole page loads anew."""
    around, user_id = _owner(slug)
    found = _state(user_id)
    if found.busy is None:
        return Response(headers={"HX-Refresh": "true"})
    return Response(render_template("demo/_progress.html", nav=around.nav, state=found))


def load(slug: str) -> AnyResponse:
    """Begins to load the demo organization, in place of an earlier one of this account."""
    _, user_id = _owner(slug)
    days = request.form.get("days", next(iter(SPANS)))
    if days not in SPANS:
        raise InvalidInput(f"days is one of {', '.join(SPANS)}", field="days")
    job_id = _job("load", user_id)
    if not context().queue.begin("workers.demo.load", user_id, int(days), job_id=job_id, seconds=SECONDS):
        raise Unavailable("The queue does not answer, so nothing can be loaded now", retry_after=5)
    return redirect(f"/app/{slug}/demo", 303)


def remove(slug: str) -> AnyResponse:
    """Begins to remove it, when the form confirms that."""
    around, user_id = _owner(slug)
    if request.form.get("confirm") != "yes":
        raise InvalidInput("Tick that everything in the demo organization is deleted", field="confirm")
    found = around.organization if around.organization.demo else own_demo(context().store, user_id)
    if found is None:
        raise NotFound("There is no demo organization of yours")
    if not context().queue.begin("workers.demo.remove", found.id, job_id=_job("remove", user_id), seconds=SECONDS):
        raise Unavailable("The queue does not answer, so nothing can be removed now", retry_after=5)
    left = [slug for slug in (around.nav.slug, *(slug for slug, _ in around.nav.others)) if slug != found.slug]
    return redirect(f"/app/{left[0]}/demo" if left else "/", 303)


def render_demo(state: DemoPage, nav: Nav) -> str:
    """The HTML of the page."""
    return render_template(
        "demo/index.html",
        nav=nav,
        page="demo",
        state=state,
        spans=SPANS,
        demo_url=organization_url(state.demo.slug) if state.demo else None,
        form_url=page_url(nav, "demo"),
    )


def _owner(slug: str) -> tuple[Frame, int]:
    """The frame and the account's id of an owner. Raises NotFound, or Forbidden for another member."""
    around = frame(slug)
    account = current_account()
    if account is None or around.nav.role != "owner":
        raise Forbidden("Only an owner of the organization loads and removes the demo organization")
    return around, account.id


def _state(user_id: int) -> DemoPage:
    queue = context().queue
    return DemoPage(
        own_demo(context().store, user_id),
        queue.state(_job("load", user_id)),
        queue.state(_job("remove", user_id)),
        queue.workers(),
    )


def _job(what: str, user_id: int) -> str:
    """Id of an account's job: only one of each at a time."""
    return f"demo-{what}-{user_id}"
