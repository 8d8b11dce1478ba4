"""A report that somebody asks for: a worker makes it; asked for again with the same inputs, it is the same one.

An organization has one such job at a time, wherever it was asked for: they share the worker with all else.
"""

from __future__ import annotations

from dataclasses import dataclass

from costlens.domain.errors import Unavailable
from costlens.domain.roi import Window
from costlens.queue import JobQueue, JobState
from costlens.services.team_reports import Head, find_subject, heads
from costlens.store.engine import Store

SECONDS = 900  # the longest that one report may take
RETRY_SECONDS = 10  # until another report is asked for
_ANOTHER = "Another report of the organization is being made; ask again when it is there"


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that was asked for."""

    status: str  # made, waiting, running
    scope: str
    scope_id: int
    name: str
    window: Window
    version: int  # of the report that the caller gets
    made: Head | None  # the newest that there is; while another one is being made, the one before it


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

    `again` makes the next version. What waits or runs already is that job. Raises InvalidInput, NotFound, and
    Unavailable: another report of the organization is being made, or the queue is away.
    """
    with store.read() as tx:
        subject = find_subject(tx, organization_id, scope, id)
    what = f"{scope}-{subject.id}-{window.start}-{window.end}"
    job = under_way(queue, organization_id)
    days = window.start, window.end
    # After the job: what it has made meanwhile is there.
    known = heads(store, organization_id, kind="asked", subject=(scope, subject.id), days=days, limit=1)
    made = known[0] if known else None

    def asked(status: str, version: int) -> Asked:
        return Asked(status, scope, subject.id, subject.name, window, version, made)

    if job is not None and job.told.get("report") == what:
        version = int(job.told["version"])
        return asked("made" if made is not None and made.version >= version else job.status, version)
    if made is not None and not again:
        return asked("made", made.version)
    if job is not None:
        raise Unavailable(_ANOTHER, retry_after=RETRY_SECONDS)
    version = made.version + 1 if made else 1
    begun = queue.begin(
        "workers.reports.make",
        organization_id,
        scope,
        subject.id,
        *(day.isoformat() for day in days),
        window.timezone,
        job_id=_job_id(organization_id),
        seconds=SECONDS,
        told={"report": what, "version": version},
    )
    if not begun:
        raise Unavailable("The queue does not answer, so no report can be made now", retry_after=5)
    faster = under_way(queue, organization_id)
    if faster is not None and faster.told.get("report") != what:
        raise Unavailable(_ANOTHER, retry_after=RETRY_SECONDS)
    return asked("waiting", version)


def under_way(queue: JobQueue, organization_id: int) -> JobState | None:
    """The job that makes a report of the organization on demand. None: there is none, or the queue is away."""
    job = queue.state(_job_id(organization_id))
    return job if job is not None and job.status in ("waiting", "running") else None


def last_job(queue: JobQueue, organization_id: int) -> JobState | None:
    """The same, or the one that failed, or that the queue is away."""
    return queue.state(_job_id(organization_id))


def _job_id(organization_id: int) -> str:
    return f"report-{organization_id}"
