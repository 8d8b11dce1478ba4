"""The rounds of kept reports: every night, and for every week and month that is over; each is made once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costlens.domain.periods import local_day, zone
from costlens.domain.roi import Window
from costlens.services import team_reports
from costlens.services.reports import roi_report
from costlens.services.team_reports import Progress, make
from costlens.store import organizations as org_store
from costlens.store import stored_reports
from costlens.store.engine import Store
from costlens.store.members import lock_organization
from costlens.store.organizations import Organization

NIGHT_HOUR = 4  # local: what came in late is there by then, and linked
NIGHTLY_DAYS = 28
KEPT_NIGHTS = 35  # days that nightly reports are kept; weeks, months and those asked for stay

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """Reports of one kind and window of an organization."""

    organization: Organization
    kind: str
    window: Window


def windows(timezone: str, now: datetime) -> dict[str, Window]:
    """The windows by kind that are over at this moment: 28 days, the last week from Monday on, the last month."""
    local = now.astimezone(zone(timezone)) - timedelta(hours=NIGHT_HOUR)
    today = local.date()
    monday = today - timedelta(days=today.weekday())
    last_of_month = today.replace(day=1) - timedelta(days=1)
    spans = {
        "day": (today - timedelta(days=NIGHTLY_DAYS), today - timedelta(days=1)),
        "week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "month": (last_of_month.replace(day=1), last_of_month),
    }
    return {kind: Window(first, last, timezone) for kind, (first, last) in spans.items()}


def missing(store: Store, now: datetime) -> list[Round]:
    """Rounds that were not made to their end; the organization's own report is the last of each."""
    with store.read() as tx:
        return [
            Round(organization, kind, window)
            for organization in org_store.list_organizations(tx)
            if org_store.has_runs(tx, organization.id)
            for kind, window in windows(organization.timezone, now).items()
            if ("organization", 0)
            not in stored_reports.stored_keys(tx, organization.id, kind, window.start, window.end)
        ]


def make_round(store: Store, one: Round, *, now: datetime | None = None, progress: Progress | None = None) -> int:
    """Makes the reports of a round that are not there yet, teams and repositories first; answers how many.

    Only those with spend or closed pull requests get one. Forgets nightly reports that are too old.
    """
    at, organization, window = now or datetime.now(UTC), one.organization, one.window
    with store.read() as tx:
        there = stored_reports.stored_keys(tx, organization.id, one.kind, window.start, window.end)
        quiet = not stored_reports.anything_in(tx, organization.id, window)
    wanted = [] if quiet else [subject for subject in _subjects(store, one) if subject not in there]
    for done, (scope, id) in enumerate(wanted):
        if progress:
            progress("Reports", done, len(wanted))
        make(store, organization.id, scope, id, kind=one.kind, window=window, now=at)
    with store.write() as tx:
        lock_organization(tx, organization.id)
        oldest = local_day(at, organization.timezone) - timedelta(days=KEPT_NIGHTS)
        stored_reports.forget_reports(tx, organization.id, "day", oldest)
    if wanted:
        _log.info("%d reports (%s) of %s made", len(wanted), one.kind, organization.slug)
    return len(wanted)


def _subjects(store: Store, one: Round) -> Iterator[tuple[str, int]]:
    anything, there = False, team_reports.subject_names(store, one.organization.id)
    for scope in ("team", "repository"):
        report = roi_report(store, one.organization.id, scope, window=one.window)
        for row in report.rows:
            figures = row.figures
            if figures.spend.runs or figures.merged or figures.abandoned:
                anything = True
                if row.id is not None and (scope, row.id) in there:
                    yield scope, row.id
    if anything:
        yield "organization", 0
