"""Jobs that make the reports that are kept, and send the weekly ones."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

from rq import get_current_job

from costlens.config import load_settings
from costlens.domain.roi import Window
from costlens.services import report_rounds, team_reports, weekly_mail
from workers.context import opened
from workers.linking import alone
from workers.progress import teller

_log = logging.getLogger(__name__)


def make(organization_id: int, scope: str, scope_id: int, first: str, last: str, timezone: str) -> int:
    """One report that somebody asked for; answers its id."""
    window = Window(date.fromisoformat(first), date.fromisoformat(last), timezone)
    with opened() as (store, _):
        return team_reports.make(
            store, organization_id, scope, scope_id, kind="asked", window=window, progress=teller()
        )


def sweep() -> int:
    """Makes the nightly, weekly and monthly reports that are due, then sends the weekly ones; answers how many."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("this job runs in a worker")
    now = datetime.now(UTC)
    with opened() as (store, _), alone(job.connection, "costlens:reports"):
        made, failed = 0, list[Exception]()
        for one in report_rounds.missing(store, now):
            try:
                made += report_rounds.make_round(store, one, now=now, progress=teller())
            except Exception as error:  # one organization's trouble is not another's
                _log.exception("reports (%s) of %s", one.kind, one.organization.slug)
                failed.append(error)
        weekly_mail.send_due(store, load_settings(), now=now)
    if failed:
        raise failed[0]
    return made
