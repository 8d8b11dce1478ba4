"""Every periodic job, and the loop that asks for them (`costlens scheduler`).

Jobs are named by dotted path, so the process that asks for them loads nothing of what they do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.queue import JobQueue

ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job that runs once in each span of time."""

    name: str
    every: timedelta
    seconds: int  # the longest that it may take
    offset: timedelta = timedelta()  # when a span begins: of a day, the time in UTC

    def span(self, at: datetime) -> int:
        """The number of the span that this moment is in."""
        return (at - datetime(1970, 1, 1, tzinfo=UTC) - self.offset) // self.every


PERIODIC = (
    Periodic("workers.linking.sweep", timedelta(seconds=30), seconds=900),
    Periodic("workers.sync.sweep", timedelta(seconds=10), seconds=120),
    Periodic("workers.comments.sweep", timedelta(minutes=1), seconds=60),
    Periodic("workers.sync.redeliver", timedelta(hours=1), seconds=600, offset=timedelta(minutes=7)),
    Periodic("workers.sync.reseal", timedelta(days=1), seconds=600, offset=timedelta(hours=4, minutes=11)),
    Periodic("workers.reports.sweep", timedelta(hours=1), seconds=7200, offset=timedelta(minutes=23)),
    Periodic("workers.linking.age_pending", timedelta(days=1), seconds=3600, offset=timedelta(hours=3, minutes=17)),
    Periodic("workers.rulesets.compare", timedelta(minutes=5), seconds=7200, offset=timedelta(minutes=2)),
    Periodic("workers.rulesets.calibrate", timedelta(days=1), seconds=7200, offset=timedelta(hours=4, minutes=29)),
    Periodic(
        "workers.ledger.verify_and_repair", timedelta(days=1), seconds=7200, offset=timedelta(hours=3, minutes=43)
    ),
)


def ask(queue: JobQueue, jobs: Sequence[Periodic], stopping: threading.Event) -> None:
    """Asks for each job once in a span, at once for the spans that this moment is in, until `stopping` is set."""
    asked: dict[str, int] = {}
    while True:
        now = datetime.now(UTC)
        for job in jobs:
            span = job.span(now)
            if asked.get(job.name) != span and queue.run_once(
                job.name, span, seconds=job.seconds, ttl=int(job.every.total_seconds())
            ):
                asked[job.name] = span
        if stopping.wait(ASK_SECONDS):
            return
