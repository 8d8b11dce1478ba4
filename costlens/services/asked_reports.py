"""A report that somebody asks for: a worker makes it; asked for again with the same inputs, it is the same one."""

from __future__ import annotations

from dataclasses import dataclass

from costlens.domain.errors import Unavailable
from costlens.domain.roi import Window
from costlens.queue import JobQueue
from costlens.services.team_reports import Head, find_subject, heads
from costlens.store.engine import Store

SECONDS = 900  # the longest that one report may take


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that was asked for."""

    status: str  # made, waiting, running
    scope: str
    scope_id: int
    name: str
    window: Window
    made: Head | None  # the newest that there is; while another one is being made, the one before it

    @property
    def version(self) -> int:
        """Of the report that the caller gets."""
        known = self.made.version if self.made else 0
        return known if self.status == "made" else known + 1


def ask(
    store: Store,
    queue: JobQueue,
    organization_id: int,
    scope: str,
    id: int,
    window: Window,
    *,
    again: bool = False,
) -> Asked:
    """Has a worker make a report, unless one of the same subject and days was made on demand already.

    `again` makes the next version. What waits or runs already is that job. Raises InvalidInput, NotFound, Unavailable.
    """
    with store.read() as tx:
        subject = find_subject(tx, organization_id, scope, id)
    days = window.start, window.end
    known = heads(store, organization_id, kind="asked", subject=(scope, subject.id), days=days, limit=1)
    made = known[0] if known else None
    job_id = f"report-{organization_id}-{scope}-{subject.id}-{window.start}-{window.end}"
    state = queue.state(job_id)
    under_way = state is not None and state.status in ("waiting", "running")
    if made is not None and not again and not under_way:
        return Asked("made", scope, subject.id, subject.name, window, made)
    if not under_way:
        arguments = (organization_id, scope, subject.id, *(day.isoformat() for day in days), window.timezone)
        if not queue.begin("workers.reports.make", *arguments, job_id=job_id, seconds=SECONDS):
            raise Unavailable("The queue does not answer, so no report can be made now", retry_after=5)
    status = "running" if under_way and state is not None and state.status == "running" else "waiting"
    return Asked(status, scope, subject.id, subject.name, window, made)
