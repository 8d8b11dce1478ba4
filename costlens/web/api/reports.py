"""GET and PUT /roi/assumptions, GET /roi/estimate and /roi/comparison, GET and POST /roi/reports."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response

from costlens.domain.errors import InvalidInput, NotFound
from costlens.domain.estimates import Assumptions, Range, Survey
from costlens.domain.names import repository_name
from costlens.domain.periods import bounded_day, last_days, local_day, window
from costlens.domain.shown import moment
from costlens.domain.team_report import KINDS
from costlens.services import asked_reports, assumptions, reports, scopes, team_reports
from costlens.services.asked_reports import Asked
from costlens.services.assumptions import Line
from costlens.services.comparing import comparison, comparison_json
from costlens.services.report_documents import estimated_json
from costlens.services.team_reports import Head
from costlens.store.organizations import KeyRow
from costlens.web.answers import json_answer
from costlens.web.api import params
from costlens.web.api.bodies import decode, decode_stored
from costlens.web.auth import require_key
from costlens.web.context import context
from costlens.web.payload import json_body

COMPARED_DAYS = 364
Hours = Annotated[float, msgspec.Meta(ge=0, le=1_000)]
Amount = Annotated[float, msgspec.Meta(ge=0, lt=1_000_000_000)]


def blueprint() -> Blueprint:
    """The routes of what AI may be worth, and of kept reports."""
    routes = Blueprint("returns", __name__)
    routes.get("/roi/assumptions")(get_assumptions)
    routes.put("/roi/assumptions")(set_assumptions)
    routes.get("/roi/estimate")(get_estimate)
    routes.get("/roi/comparison")(get_comparison)
    routes.get("/roi/reports")(list_reports)
    routes.post("/roi/reports")(ask_report)
    routes.get("/roi/reports/<int:report_id>")(get_report)
    return routes


class RangeBody(msgspec.Struct):
    low: Hours
    mid: Hours
    high: Hours


class SurveyBody(msgspec.Struct):
    """Hours saved per merged pull request: mean, standard deviation and number of answers."""

    mean: Hours
    deviation: Hours
    answers: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)]


class AssumptionsBody(msgspec.Struct, rename="camel"):
    """Assumptions from `since` on (none: today), of `team` (none: of the organization); amounts in dollars."""

    team: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    since: date | None = None
    hourly_cost: Annotated[float, msgspec.Meta(gt=0, lt=1_000_000)] | None = None
    seats_per_month: Amount = 0.0
    hours_saved: RangeBody | None = None
    survey: SurveyBody | None = None
    recapture: RangeBody | None = None
    review_hours: Hours = 0.0
    rework_hours: Hours = 0.0
    rollout_cost: Amount = 0.0
    rollout_months: Annotated[int, msgspec.Meta(ge=1, le=120)] = 12


def get_assumptions() -> Response:
    """What was set for the organization, or for `team`."""
    organization = require_key("read").organization
    return _assumptions(organization.id, params.roi_filters(organization).team_id)


def set_assumptions() -> Response:
    """Sets what holds from a day on, in place of what was set from that day."""
    key = require_key("admin")
    given = decode_stored(json_body(), AssumptionsBody)
    organization = key.organization
    team_id = _team(organization.id, given.team)
    assumptions.set_assumptions(
        context().store,
        organization.id,
        team_id,
        given.since or local_day(datetime.now(UTC), organization.timezone),
        _assumed(given),
        by=_who(key),
    )
    return _assumptions(organization.id, team_id)


def get_estimate() -> Response:
    """What the figures of a period may be worth, or why that is refused."""
    organization = require_key("read").organization
    span, filters = params.period(organization), params.roi_filters(organization)
    report = reports.roi_report(context().store, organization.id, "repository", window=span, filters=filters)
    found = assumptions.estimated(context().store, organization.id, report, filters)
    days = {"startDate": span.start.isoformat(), "endDate": span.end.isoformat(), "timezone": span.timezone}
    return json_answer(days | estimated_json(found))


def get_comparison() -> Response:
    """AI-assisted against other pull requests; a year where no period is given."""
    organization = require_key("read").organization
    filters = params.roi_filters(organization)
    if filters.provider is not None:
        raise InvalidInput("A comparison with other work has no provider", field="provider")
    given = any(params.text(name) for name in ("startDate", "endDate", "days", "period"))
    today = local_day(datetime.now(UTC), organization.timezone)
    span = params.period(organization) if given else last_days(COMPARED_DAYS, organization.timezone, today)
    return json_answer(comparison_json(comparison(context().store, organization.id, span, filters)))


def list_reports() -> Response:
    """Kept reports, the newest first."""
    organization = require_key("read").organization
    filters, limit = params.roi_filters(organization), params.number("limit", 50, 1, 200)
    subject = None
    if filters.team_id is not None:
        subject = "team", filters.team_id
    elif filters.repository_id is not None:
        subject = "repository", filters.repository_id
    elif params.choice("scope", team_reports.SCOPES) == "organization":
        subject = "organization", 0
    found = team_reports.heads(
        context().store,
        organization.id,
        kind=params.choice("kind", KINDS),
        subject=subject,
        days=_days(),
        before=params.number("cursor", 0, 1, 2**62) or None,
        limit=limit + 1,
    )
    shown = found[:limit]
    return json_answer(
        {
            "reports": [head_object(one) for one in shown],
            "nextCursor": str(shown[-1].id) if len(found) > limit else None,
        }
    )


class ReportBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Of `team` or `repo`, or of the organization; of a period (28d) or of days, both included; `again`: a new one."""

    team: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    repo: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    period: Literal["7d", "28d", "91d", "12m"] | None = None
    start_date: date | None = None
    end_date: date | None = None
    again: bool = False


def ask_report() -> Response:
    """Has a worker make a report: 202 while it does, 200 with the report that is there already."""
    require_key("read")
    key = require_key("ingest")
    asked, organization = decode(json_body(), ReportBody), key.organization
    if asked.team is not None and asked.repo is not None:
        raise InvalidInput("A report is of a team or of a repository", field="repo")
    store = context().store
    team_id, repository_id = scopes.find_scope(
        store,
        organization.id,
        team=None if asked.team is None else asked.team.strip(),
        repository=None if asked.repo is None else repository_name(asked.repo),
    )
    if team_id is not None:
        subject = "team", team_id
    else:
        subject = ("organization", 0) if repository_id is None else ("repository", repository_id)
    start, end = (None if day is None else day.isoformat() for day in (asked.start_date, asked.end_date))
    today = local_day(datetime.now(UTC), organization.timezone)
    span = window(asked.period, organization.timezone, today, start=start, end=end)
    found = asked_reports.ask(store, context().queue, organization.id, *subject, span, again=asked.again)
    response = json_answer(_asked(found), 200 if found.status == "made" else 202)
    response.headers["Location"] = _where(found)
    return response


def get_report(report_id: int) -> Response:
    """A kept report, byte for byte as it was made; `format=csv` is its table."""
    organization = require_key("read").organization
    found = team_reports.load(context().store, organization.id, min(report_id, 2**62))
    if params.choice("format", ("json", "csv")) == "csv":
        return Response(found.csv, mimetype="text/csv")
    return Response(found.json, mimetype="application/json")


def _days() -> tuple[date, date] | None:
    """The days whose reports are listed. None: of all days. Raises InvalidInput."""
    start, end = params.text("startDate"), params.text("endDate")
    if start is None and end is None:
        return None
    if start is None or end is None:
        raise InvalidInput(
            "Reports of certain days have startDate and endDate", field="startDate" if end else "endDate"
        )
    return bounded_day(start, "startDate"), bounded_day(end, "endDate")


def _where(asked: Asked) -> str:
    """Where the report is, or is listed as soon as it is made."""
    if asked.status == "made" and asked.made is not None:
        return f"/roi/reports/{asked.made.id}"
    of = {"organization": {"scope": "organization"}, "team": {"team": asked.name}, "repository": {"repo": asked.name}}
    days = {"startDate": asked.window.start.isoformat(), "endDate": asked.window.end.isoformat()}
    return f"/roi/reports?{urlencode({'kind': 'asked', **of[asked.scope], **days})}"


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "status": asked.status,
        "scope": asked.scope,
        "name": asked.name,
        "startDate": asked.window.start.isoformat(),
        "endDate": asked.window.end.isoformat(),
        "version": asked.version,
        "url": _where(asked),
        "report": head_object(asked.made) if asked.status == "made" and asked.made is not None else None,
    }


def _team(organization_id: int, name: str | None) -> int | None:
    """The id of a named team. None: none is named. Raises NotFound."""
    if name is None:
        return None
    team_id, _ = scopes.find_scope(context().store, organization_id, team=name.strip(), repository=None)
    if not team_id:
        raise NotFound(f"No team named {name!r}", field="team")
    return team_id


def _who(key: KeyRow) -> str:
    return key.member_email or f"key {key.name}"


def _assumed(given: AssumptionsBody) -> Assumptions:
    def of(body: RangeBody | None) -> Range | None:
        return None if body is None else Range(body.low, body.mid, body.high)

    survey = given.survey
    return Assumptions(
        hourly_cost_cents=None if given.hourly_cost is None else round(given.hourly_cost * 100),
        seats_cents=round(given.seats_per_month * 100),
        hours=of(given.hours_saved),
        survey=None if survey is None else Survey(survey.mean, survey.deviation, survey.answers),
        recapture=of(given.recapture) or Assumptions().recapture,
        review_hours=given.review_hours,
        rework_hours=given.rework_hours,
        rollout_cents=round(given.rollout_cost * 100),
        rollout_months=given.rollout_months,
    )


def _assumptions(organization_id: int, team_id: int | None) -> Response:
    team_id = team_id or None
    lines = assumptions.history(context().store, organization_id, team_id)
    name = None
    if team_id is not None:
        with context().store.read() as tx:
            name = assumptions.team_name(tx, organization_id, team_id)
    return json_answer({"team": name, "assumptions": [_line(one) for one in lines]})


def _line(line: Line) -> dict[str, Any]:
    given = line.given
    return {
        "since": line.since.isoformat(),
        "hourlyCost": None if given.hourly_cost_cents is None else given.hourly_cost_cents / 100,
        "seatsPerMonth": given.seats_cents / 100,
        "hoursSaved": None if given.hours is None else _range(given.hours),
        "survey": None if given.survey is None else msgspec.to_builtins(given.survey),
        "recapture": _range(given.recapture),
        "reviewHours": given.review_hours,
        "reworkHours": given.rework_hours,
        "rolloutCost": given.rollout_cents / 100,
        "rolloutMonths": given.rollout_months,
        "setBy": line.set_by,
        "setAt": moment(line.set_at),
    }


def _range(of: Range) -> dict[str, float]:
    return {"low": of.low, "mid": of.mid, "high": of.high}


def head_object(one: Head) -> dict[str, Any]:
    """What a list of kept reports tells of one."""
    return {
        "id": one.id,
        "kind": one.kind,
        "scope": one.subject.scope,
        "name": one.subject.name,
        "startDate": one.first.isoformat(),
        "endDate": one.last.isoformat(),
        "version": one.version,
        "asOf": moment(one.as_of),
        "digest": one.digest,
    }
