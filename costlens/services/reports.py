"""ROI reports: what the pages, the API and the command line show of one window."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from costlens.domain import roi
from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.links import Outcome
from costlens.domain.periods import bounds, previous_window
from costlens.domain.roi import (
    Cohort,
    DaySpend,
    Ended,
    Figures,
    Filters,
    PullRequestRow,
    RoiReport,
    RoiRow,
    Spend,
    Window,
)
from costlens.domain.seats import Seats, seats_in
from costlens.services.report_formats import pull_request_json, roi_csv, roi_json
from costlens.services.seats import told_in
from costlens.store import pull_lists, reports, roi_spend
from costlens.store.engine import Store, Tx
from costlens.store.reports import OrganizationFacts, RowFacts
from costlens.store.types import from_millis

__all__ = ["PullRequestPage", "pull_request_json", "pull_request_report", "roi_csv", "roi_json", "roi_report"]

SCOPES = ("repository", "team")
PAGE_SIZE = 100
AI_STATES = ("linked", "declared", "none_seen")
_QUALITY = ("runs", "priced_runs", "exact_runs")
_LISTED_OUTCOMES = (Outcome.MERGED, Outcome.OPEN, Outcome.ABANDONED, Outcome.REVERTED, "closed")


@dataclass(frozen=True, slots=True)
class PullRequestPage:
    """One page of the pull requests behind the figures of a window."""

    window: Window
    rows: tuple[PullRequestRow, ...]
    next_cursor: str | None  # None: the last page
    total_pulls: int  # on all pages
    total_runs: int
    total_cost: int  # nano-dollars, on all pages


def roi_report(
    store: Store, organization_id: int, scope: str, *, window: Window, filters: Filters | None = None
) -> RoiReport:
    """The ROI of every repository or team in a window, and in the window of equal length before it.

    One read transaction. Raises as `roi_report_in` does.
    """
    with store.read() as tx:
        return roi_report_in(tx, organization_id, scope, window=window, filters=filters)


def roi_report_in(
    tx: Tx, organization_id: int, scope: str, *, window: Window, filters: Filters | None = None
) -> RoiReport:
    """The same within a transaction, beside what else is read in it.

    Raises InvalidInput on `scope`, or on `timezone` when it is not the organization's (its days
    are cut in its own zone), and NotFound for an unknown organization.
    """
    if scope not in SCOPES:
        raise InvalidInput(f"scope must be one of {', '.join(SCOPES)}", field="scope")
    filters = filters or Filters()
    comparison = previous_window(window)
    begin, end = bounds(window)
    organization = _organization(tx, organization_id, window)
    teams = reports.team_facts(tx, organization_id)
    facts = teams if scope == "team" else reports.repository_facts(tx, organization_id)
    now, before = roi_spend.spend_by_row(tx, organization_id, scope, window, comparison, filters)
    spent = roi_spend.spend_by_day(tx, organization_id, scope, window, comparison, filters)
    ended = reports.ended_pulls(tx, organization_id, scope, window, comparison, filters)
    ended_in_all = reports.ended_pulls(tx, organization_id, None, window, comparison, filters)
    contributors = reports.contributors(tx, organization_id, window, filters)
    assisted = None
    if filters.team_id is None and filters.provider is None:
        assisted = reports.assisted_share(tx, organization_id, begin, end, filters.repository_id)

    told = told_in(tx, organization_id)

    hourly = _hourly_cost(teams.get(filters.team_id or 0), organization)
    current, previous = (
        _Part(
            span,
            {row: one.spend for row, one in spend.items()},
            roi.cohorts(by_row),
            _in_all(by_row, whole),
            seats_in(told, filters, span),
        )
        for span, spend, by_row, whole in zip((window, comparison), (now, before), ended, ended_in_all, strict=True)
    )
    runs, priced, exact = (sum(getattr(one, name) for one in now.values()) for name in _QUALITY)
    return RoiReport(
        window=window,
        comparison=comparison,
        scope=scope,
        organization=organization.name,
        hourly_cost_cents=hourly,
        contributors=contributors,
        total=_total(current, hourly),
        previous=_total(previous, hourly),
        rows=_rows(scope, facts, organization, hourly, current, previous, spent.trends),
        unlinked_reasons=roi_spend.dearest_reasons(now.values()),
        days=_day_spends(spent.days, window),
        data_through=organization.data_through,
        priced_share=priced / runs if runs else None,
        exact_share=exact / runs if runs else None,
        assisted=assisted,
        seats_of=current.seats.of,
    )


def pull_request_report(
    store: Store,
    organization_id: int,
    *,
    window: Window,
    filters: Filters | None = None,
    outcome: str | None = None,
    ai: str | None = None,
    sort: str = "ended",
    ascending: bool = False,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> PullRequestPage:
    """The pull requests with counted links of a window, newest first or as `sort` says, a page at a time.

    `outcome` picks the rows behind one figure (merged, open, abandoned, reverted; None: all), `ai` those of one state
    of AI (linked, declared, none_seen; None: linked ones, whatever a person said). Raises InvalidInput on `outcome`,
    `ai`, `sort`, `cursor` or `limit`, and as `roi_report` does.
    """
    for name, value, allowed in (("outcome", outcome, _LISTED_OUTCOMES), ("ai", ai, AI_STATES)):
        if value is not None and value not in allowed:
            raise InvalidInput(f"{name} must be one of {', '.join(allowed)}", field=name)
    if sort not in pull_lists.PULL_SORTS:
        raise InvalidInput(f"sort must be one of {', '.join(pull_lists.PULL_SORTS)}", field="sort")
    if not 1 <= limit <= PAGE_SIZE:
        raise InvalidInput(f"limit must be from 1 to {PAGE_SIZE}", field="limit")
    after = None if cursor is None else _parse_cursor(cursor, sort)
    filters = filters or Filters()
    with store.read() as tx:
        _organization(tx, organization_id, window)
        totals, rows = pull_lists.page_of_pulls(
            tx,
            organization_id,
            window,
            filters,
            outcome=outcome,
            ai=ai,
            sort=sort,
            ascending=ascending,
            after=after,
            limit=limit + 1,  # one more tells whether there is a next page
        )
    shown = [row for _, row in rows[:limit]]
    more = f"{rows[limit - 1][0]}_{shown[-1].id}" if len(rows) > limit else None
    return PullRequestPage(window, tuple(shown), more, *totals)


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the two windows of a report: spend and closed pull requests by row, the latter in all, and seats."""

    window: Window
    spend: Mapping[int, Spend]
    cohorts: Mapping[int, Cohort]
    in_all: Cohort
    seats: Seats


def _organization(tx: Tx, organization_id: int, window: Window) -> OrganizationFacts:
    facts = reports.organization_facts(tx, organization_id)
    if facts is None:
        raise NotFound("No such organization")
    if facts.timezone != window.timezone:
        raise InvalidInput(f"This organization's days are kept in {facts.timezone}", field="timezone")
    return facts


def _hourly_cost(team: RowFacts | None, organization: OrganizationFacts) -> int | None:
    own = team.hourly_cost_cents if team else None
    return organization.hourly_cost_cents if own is None else own


def _in_all(by_row: Ended, whole: Ended) -> Cohort:
    """The cohort of all rows, of which some pull requests are shared by several."""
    found = roi.cohorts(whole).get(0, Cohort())
    found.shared = sum(rows > 1 for rows in Counter(by_row.ids).values()) if len(by_row.ids) > len(whole.ids) else 0
    return found


def _total(part: _Part, hourly: int | None) -> Figures:
    spend = sum(part.spend.values(), Spend())
    return roi.figures(spend, part.in_all, hourly_cost_cents=hourly, seats=part.seats.total)


def _rows(
    scope: str,
    facts: Mapping[int, RowFacts],
    organization: OrganizationFacts,
    hourly: int | None,
    current: _Part,
    previous: _Part,
    trends: Mapping[int, tuple[int, ...]],
) -> tuple[RoiRow, ...]:
    """Every row with spend, seats or closed pull requests in either window: the differences add up too."""
    nothing, none = Spend(), Cohort()
    flat = (0,) * current.window.days
    of_teams: tuple[Mapping[int, int], Mapping[int, int]] = {}, {}
    if scope == "team":
        of_teams = current.seats.by_team, previous.seats.by_team
    seats, seats_before = of_teams
    rows = []
    spent, closed = (current.spend, previous.spend), (current.cohorts, previous.cohorts)
    for key in set().union(*spent, *closed, seats, seats_before):
        fact = facts.get(key)
        own = _hourly_cost(fact, organization) if scope == "team" else hourly
        now, before = current.spend.get(key, nothing), previous.spend.get(key, nothing)
        cohort, cohort_before = current.cohorts.get(key, none), previous.cohorts.get(key, none)
        counted = cohort.closed or cohort_before.closed or key in seats or key in seats_before
        if now == before == nothing and not counted:
            continue  # ledger rows that were moved elsewhere leave zeros behind
        rows.append(
            RoiRow(
                id=key or None,
                name=fact.name if fact else _nameless(scope, key),
                team=fact.team if fact else None,
                figures=roi.figures(now, cohort, hourly_cost_cents=own, seats=seats.get(key)),
                previous=roi.figures(before, cohort_before, hourly_cost_cents=own, seats=seats_before.get(key)),
                trend=trends.get(key, flat),
            )
        )
    rows.sort(key=lambda row: (row.id is None, -row.figures.spend.code, row.name, row.id or 0))
    return tuple(rows)


def _nameless(scope: str, key: int) -> str:
    return f"Deleted {scope}" if key else f"No {scope}"


def _day_spends(sums: Mapping[date, Spend], window: Window) -> tuple[DaySpend, ...]:
    shown, nothing = [], Spend()
    for offset in range(window.days):
        day = window.start + timedelta(days=offset)
        spend = sums.get(day, nothing)
        shown.append(
            DaySpend(
                day=day,
                merged=spend.merged + spend.direct,
                open=spend.open,
                abandoned=spend.abandoned + spend.reverted,
                not_linked=spend.suggested + spend.pending + spend.unlinked,
                previous=sums.get(day - timedelta(days=window.days), nothing).code,
            )
        )
    return tuple(shown)


def _parse_cursor(cursor: str, sort: str) -> tuple[int, int]:
    found = re.fullmatch(r"(-?[0-9]{1,19})_([0-9]{1,18})", cursor)
    try:
        if found is None or abs(int(found[1])) > 2**62:
            raise ValueError(cursor)
        if sort == "ended":
            from_millis(int(found[1]))
    except (ValueError, OverflowError) as error:
        raise InvalidInput("cursor must be one that an earlier page gave", field="cursor") from error
    return int(found[1]), int(found[2])
