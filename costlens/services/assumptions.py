"""What an organization or a team assumes of the return on AI: set from a day on, looked at, and tried out before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from costlens.domain.access import Member
from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.estimates import (
    Assumptions,
    Basis,
    Dated,
    Estimate,
    Refusal,
    checked,
    estimate,
    in_force,
    rollout_of,
)
from costlens.domain.periods import FIRST_DAY, LAST_DAY, bounds
from costlens.domain.roi import Filters, RoiReport
from costlens.domain.seats import Told, seats_in, seats_of
from costlens.services.acting import acting
from costlens.services.seats import assumptions_from, told_in
from costlens.store import assumptions as assumption_store
from costlens.store import organizations as org_store
from costlens.store import roi_spend
from costlens.store.engine import Store, Tx
from costlens.store.members import lock_organization
from costlens.store.teams import get_team


@dataclass(frozen=True, slots=True)
class Line:
    """Assumptions as they were set."""

    since: date
    given: Assumptions
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate with everything that it stands on."""

    assumed: Assumptions
    basis: Basis
    result: Estimate | Refusal


def history(store: Store, organization_id: int, team_id: int | None) -> list[Line]:
    """What was set for a team (None: the organization), the newest first."""
    with store.read() as tx:
        rows = assumption_store.list_assumptions(tx, organization_id, team_id)
    return [Line(row.since, assumptions_from(row.given), row.set_by, row.set_at) for row in reversed(rows)]


@dataclass(frozen=True, slots=True)
class Held:
    """What holds for a report: the assumptions by day, and its seats and roll-out in nano-dollars."""

    dated: list[Dated]
    seats: int
    rollout: int


def held(
    tx: Tx, organization_id: int, report: RoiReport, filters: Filters, *, instead: Assumptions | None = None
) -> Held:
    """The organization's assumptions until the first of the team's own, or those to try out `instead`.

    Seats of the whole organization are those of its report. Seats and roll-out are of all for whom they were set: the
    estimate of something narrower bears its share by code spend, since a return without them would be flattered.
    """
    window, team_id = report.window, filters.team_id or None
    told = told_in(tx, organization_id)
    common, own = list(told.whole), list(told.teams.get(team_id, ())) if team_id else []
    if instead is not None:
        tried = [Dated(window.start, instead)]
        common, own = ([], tried) if team_id else (tried, [])
    if filters == Filters():
        seats = seats_in(Told(common, told.teams), filters, window).total or 0
        return Held(common, seats, rollout_of(common, window.start, window.end))
    if own:
        common = [one for one in common if one.since < own[0].since]
    borne = rollout = 0.0
    for known, of in ((common, None), (own, team_id)):
        if not known:
            continue
        ended = [*known, Dated(own[0].since, Assumptions())] if known is common and own else known
        share = 1.0
        if filters != Filters(team_id=of):
            whole = roi_spend.code_spend(tx, organization_id, window, of)
            share = report.total.spend.code / whole if whole else 0.0
        borne += share * seats_of(ended, window.start, window.end)
        rollout += share * rollout_of(ended, window.start, window.end)
    return Held(common + own, round(borne), round(rollout))


def set_assumptions(
    store: Store,
    organization_id: int,
    team_id: int | None,
    since: date,
    given: Assumptions,
    *,
    by: Member | str,
    now: datetime | None = None,
) -> None:
    """Sets what holds from a day on; a key is named by text. Raises Forbidden, NotFound, InvalidInput."""
    at, given = now or datetime.now(UTC), checked(given)
    if not FIRST_DAY <= since <= LAST_DAY:
        raise InvalidInput(f"since is a day from {FIRST_DAY} to {LAST_DAY}", field="since")
    with store.write() as tx:
        who, name = _admit(tx, organization_id, by), team_name(tx, organization_id, team_id)
        values = msgspec.to_builtins(given)
        assumption_store.put_assumptions(tx, organization_id, team_id, since, values, who, at)
        _note(tx, organization_id, at, who, "roi_assumptions.set", name, {"since": since.isoformat(), **values})


def remove_assumptions(
    store: Store, organization_id: int, team_id: int | None, since: date, *, by: Member, now: datetime | None = None
) -> None:
    """Takes back what was set from a day on. Raises Forbidden, NotFound."""
    with store.write() as tx:
        who, name = _admit(tx, organization_id, by), team_name(tx, organization_id, team_id)
        if not assumption_store.remove_assumptions(tx, organization_id, team_id, since):
            raise NotFound("Nothing was set from that day on")
        details = {"since": since.isoformat()}
        _note(tx, organization_id, now or datetime.now(UTC), who, "roi_assumptions.removed", name, details)


def team_name(tx: Tx, organization_id: int, team_id: int | None) -> str:
    """The name of a team, or of the organization for None. Raises NotFound."""
    if team_id is None:
        organization = org_store.get_organization(tx, organization_id)
        if organization is None:
            raise NotFound("No such organization")
        return organization.name
    row = get_team(tx, organization_id, team_id)
    if row is None:
        raise NotFound("No such team")
    return str(row.name)


def estimated(
    store: Store, organization_id: int, report: RoiReport, filters: Filters, *, instead: Assumptions | None = None
) -> Estimated:
    """What a report's figures may be worth by the assumptions of its last day, or by those to try out `instead`.

    Seats and roll-out are those of each day. A team filter brings the team's assumptions.
    """
    with store.read() as tx:
        assumed, basis = basis_in(tx, organization_id, report, filters, instead=instead)
    return Estimated(assumed, basis, estimate(basis, assumed))


def basis_in(
    tx: Tx, organization_id: int, report: RoiReport, filters: Filters, *, instead: Assumptions | None = None
) -> tuple[Assumptions, Basis]:
    """What the estimate of a report is computed from, within a transaction."""
    spend, known = report.total.spend, held(tx, organization_id, report, filters, instead=instead)
    expected = 0
    if spend.suggested:  # it is read from runs, so it is not asked for nothing
        expected = assumption_store.expected_suggested(tx, organization_id, *bounds(report.window), filters)
    assumed = in_force(known.dated, report.window.end) or Assumptions()
    own = assumed.hourly_cost_cents
    basis = Basis(
        merged=report.total.merged,
        reverted=report.total.reverted,
        counted=spend.counted,
        expected=spend.counted + min(spend.suggested, expected),
        code=spend.code,
        seats=known.seats,
        rollout=known.rollout,
        hourly_cost_cents=report.hourly_cost_cents if own is None else own,
    )
    return assumed, basis


def _admit(tx: Tx, organization_id: int, by: Member | str) -> str:
    """Who does it, once allowed; others who change this organization wait."""
    if isinstance(by, Member):
        who = acting(tx, by)
        who.must("manage_organization")
        return who.email
    lock_organization(tx, organization_id)
    return by


def _note(
    tx: Tx, organization_id: int, at: datetime, actor: str, action: str, subject: str, details: dict[str, Any]
) -> None:
    org_store.add_audit(tx, organization_id, at=at, actor=actor, action=action, subject=subject, details=details)
