"""Whether the sums that screens read equal the runs they sum, and their repair."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from costlens.domain.errors import NotFound
from costlens.domain.periods import local_day
from costlens.store import rollup_check as checks
from costlens.store.engine import BUSY_SECONDS, Store, Tx
from costlens.store.organizations import get_organization, list_organizations
from costlens.store.rollup_check import DayDrift, RollupDrift

PART = 2_000  # rows a repairing transaction: short enough that ingest never waits long
ATTEMPTS = 5
RECENT_DAYS = 3
OLDER_DAYS = 7
# So long after a change of the time zone an ingest may still add to days of the one before: a key is trusted for a
# second, and a writer waits for others.
SETTLE_SECONDS = 2.0 + BUSY_SECONDS

Progress = Callable[[int, int], None]  # is told (days done, days in all)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rollup's rows of one day that differed from the runs."""

    day: date | None  # None: sums over the whole life of pull requests, of no day
    rollup: str
    rows: int
    runs: int  # how many runs too many (negative: too few) the rows held in all
    cost_nanos: int  # the same of cost; 0 for a rollup that holds none


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of one organization found."""

    days: int
    findings: tuple[Finding, ...]
    repaired: int  # rows
    left: int  # rows that differ still

    @property
    def differing(self) -> int:
        """Rows that differed, whether repaired since or not."""
        return sum(finding.rows for finding in self.findings)

    @property
    def by_rollup(self) -> dict[str, int]:
        """Differing rows by rollup."""
        found: Counter[str] = Counter()
        for finding in self.findings:
            found[finding.rollup] += finding.rows
        return dict(found)


def check(
    store: Store,
    organization_id: int,
    *,
    days: Sequence[date] | None = None,
    repair: bool = False,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Compares every rollup of these days of the organization (default: of all days) with the runs, a day at a time,
    then the whole life of the pull requests that cost something on them.

    `repair` adds the differences. The result is kept, see /readyz. Raises NotFound.
    """
    at = now or datetime.now(UTC)
    chosen = days
    if days is None:
        with store.read() as tx:
            days = checks.all_days(tx, organization_id, _timezone(tx, organization_id))
    with store.write() as tx:
        checks.begin_checks(tx, organization_id)
    findings: list[Finding] = []
    repaired = left = 0
    looks = [*(partial(_compare, store, organization_id, day) for day in days)]
    looks.append(partial(_compare_pulls, store, organization_id, chosen))
    for done, look in enumerate(looks, 1):
        drift = look()
        findings += [_finding(drift.day, rollup) for rollup in drift.rollups if rollup.rows]
        if repair and drift.rollups:
            rows, drift = _repair(store, drift, look)
            repaired += rows
        left += drift.differing
        if progress and done <= len(days):
            progress(done, len(days))
    found = Checked(len(days), tuple(findings), repaired, left)
    values = {"checked_at": at, "days": found.days, "differing": found.differing, "repaired": found.repaired}
    with store.write() as tx:
        checks.set_check(tx, organization_id, values)
    return found


def _timezone(tx: Tx, organization_id: int) -> str:
    organization = get_organization(tx, organization_id)
    if organization is None:
        raise NotFound("The organization is gone")
    return organization.timezone


def _compare(store: Store, organization_id: int, day: date) -> DayDrift:
    with store.read() as tx:
        return checks.compare_day(tx, organization_id, _timezone(tx, organization_id), day)


def _compare_pulls(store: Store, organization_id: int, days: Sequence[date] | None) -> DayDrift:
    with store.read() as tx:
        return checks.compare_pulls(tx, organization_id, days)


def _finding(day: date | None, drift: RollupDrift) -> Finding:
    measures = list(drift.measures)
    cost = measures.index("cost_nanos") if "cost_nanos" in measures else None
    runs = measures.index("runs")
    return Finding(
        day,
        drift.name,
        len(drift.rows),
        -sum(sums[runs] for sums in drift.rows.values()),
        -sum(sums[cost] for sums in drift.rows.values()) if cost is not None else 0,
    )


def _repair(store: Store, drift: DayDrift, look: Callable[[], DayDrift]) -> tuple[int, DayDrift]:
    """Makes a day right; answers how many rows that took and what is wrong still.

    Looks again at the end: whoever moved sums meanwhile (people who were merged) may have moved what was wrong.
    """
    rows = 0
    for _ in range(ATTEMPTS):
        repairs = drift.repairs
        for part in checks.parts(drift, PART):
            if not store.transact(lambda tx: checks.repair(tx, drift.organization_id, part, repairs)):  # noqa: B023
                break
            repairs += 1
            rows += len(part.rows)
        drift = look()
        if not drift.rollups:
            break
    return rows, drift


def check_nightly(
    store: Store, *, now: datetime | None = None, older: int = OLDER_DAYS, settle: float = SETTLE_SECONDS
) -> dict[str, Checked]:
    """Checks and repairs the last days of each organization and some older ones by chance; answers it by slug.

    An organization whose time zone changed, and whose rebuild did not end, is rebuilt.
    """
    at = now or datetime.now(UTC)
    with store.read() as tx:
        organizations = list_organizations(tx)
    return {one.slug: _check_nightly(store, one.id, at, older, settle) for one in organizations}


def _check_nightly(store: Store, organization_id: int, at: datetime, older: int, settle: float) -> Checked:
    with store.read() as tx:
        due, first = checks.rebuild_due(tx, organization_id), checks.first_bucket(tx, organization_id)
        zone = _timezone(tx, organization_id)
    if due:
        return rebuild(store, organization_id, now=at, settle=settle)
    tomorrow = local_day(at, zone) + timedelta(days=1)  # clocks of callers may be ahead
    recent = [tomorrow - timedelta(days=n) for n in range(RECENT_DAYS + 1)]
    before = (recent[-1] - local_day(first, zone)).days if first else 0
    chosen = random.sample(range(1, before + 1), min(older, before)) if before > 0 else ()
    days = sorted({*recent, *(recent[-1] - timedelta(days=n) for n in chosen)})
    return check(store, organization_id, days=days, repair=True, now=at)


def rebuild(
    store: Store,
    organization_id: int,
    *,
    now: datetime | None = None,
    settle: float = SETTLE_SECONDS,
    progress: Progress | None = None,
) -> Checked:
    """Makes every sum right by the runs, after the organization's time zone changed, while runs come in.

    Two passes: the first moves the days, the second finds what came in by the former zone meanwhile. Killed between
    them, it is done again by the nightly check. Raises NotFound.
    """
    began = time.monotonic()
    first = check(store, organization_id, repair=True, now=now, progress=progress)
    if not first.days:
        return first  # no runs yet; should some come by the former zone now, the nightly check is still due
    time.sleep(max(0.0, began + settle - time.monotonic()))
    second = check(store, organization_id, repair=True, now=now, progress=progress)
    with store.write() as tx:
        # What a rebuild moved was not wrong before.
        checks.set_check(tx, organization_id, {"rebuild_due": False, "differing": 0, "repaired": 0})
    findings = (*first.findings, *second.findings)
    return Checked(second.days, findings, first.repaired + second.repaired, second.left)
