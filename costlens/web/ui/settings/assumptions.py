"""ROI assumptions of the organization and its teams: set from a day on, and tried out before they are saved."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from flask import Blueprint, request
from werkzeug.wrappers import Response

from costlens.domain.errors import InvalidInput
from costlens.domain.estimates import Assumptions, Range, Survey, checked
from costlens.domain.periods import last_days, local_day, parse_day
from costlens.domain.roi import Filters
from costlens.services import assumptions, reports
from costlens.services.assumptions import Estimated
from costlens.services.shell import shell
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.ui.settings.frame import do, settings_page

PREVIEW_DAYS = 91
TAB = "assumptions"


def blueprint() -> Blueprint:
    """The page of the assumptions."""
    routes = Blueprint("assumptions", __name__, url_prefix="/app/<slug>/settings/assumptions")
    routes.get("")(assumptions_page)
    routes.post("")(save)
    routes.post("/remove")(remove)
    return routes


@needs("manage_organization")
def assumptions_page(slug: str) -> str:
    """What holds and what was set before; with `preview`, what the filled-in form would change."""
    organization, team_id = page_organization(), _team_id()
    lines = assumptions.history(context().store, organization.id, team_id)
    today = local_day(datetime.now(UTC), organization.timezone)
    given, since = next((line.given for line in lines if line.since <= today), Assumptions()), today
    before = after = error = None
    if "preview" in request.args:
        try:
            given, since = read_form(), parse_day(request.args.get("since", ""), "since")
            before, after = _estimates(given, team_id)
        except InvalidInput as problem:
            error = problem.message
    return settings_page(
        "assumptions.html",
        TAB,
        team_id=team_id,
        teams=shell(context().store, organization.id).teams,
        lines=lines,
        given=given,
        since=since,
        before=before,
        after=after,
        error=error,
        preview_days=PREVIEW_DAYS,
    )


@needs("manage_organization")
def save(slug: str) -> Response:
    """Sets what holds from a day on."""

    def work() -> str:
        since = parse_day(request.form.get("since", ""), "since")
        assumptions.set_assumptions(
            context().store, page_organization().id, _team_id(), since, read_form(), by=current_member()
        )
        return f"Saved: these assumptions hold from {since} on"

    return do(work, _path())


@needs("manage_organization")
def remove(slug: str) -> Response:
    """Takes back what was set from a day on."""

    def work() -> str:
        since = parse_day(request.form.get("since", ""), "since")
        assumptions.remove_assumptions(context().store, page_organization().id, _team_id(), since, by=current_member())
        return f"The assumptions from {since} on are gone"

    return do(work, _path())


def read_form() -> Assumptions:
    """The assumptions that the form of this request gives. Raises InvalidInput."""
    by_survey = request.values.get("by") == "survey"
    hours = _range("hours") if not by_survey else None
    survey = None
    if by_survey:
        mean, deviation, answers = (_number(f"survey_{name}") for name in ("mean", "deviation", "answers"))
        if mean is None or deviation is None or answers is None:
            raise InvalidInput("A survey has a mean, a standard deviation and a number of answers", field="survey")
        survey = Survey(mean, deviation, int(answers))
    return checked(
        Assumptions(
            hourly_cost_cents=_cents("hourly_cost"),
            seats_cents=_cents("seats") or 0,
            hours=hours,
            survey=survey,
            recapture=_range("recapture") or Assumptions().recapture,
            review_hours=_number("review_hours") or 0.0,
            rework_hours=_number("rework_hours") or 0.0,
            rollout_cents=_cents("rollout") or 0,
            rollout_months=int(_number("rollout_months") or 12),
        )
    )


def _estimates(given: Assumptions, team_id: int | None) -> tuple[Estimated, Estimated]:
    """What the last 91 days may be worth as things are, and by these assumptions."""
    store, organization = context().store, page_organization()
    window = last_days(PREVIEW_DAYS, organization.timezone, local_day(datetime.now(UTC), organization.timezone))
    filters = Filters(team_id=team_id)
    report = reports.roi_report(store, organization.id, "repository", window=window, filters=filters)
    now, then = (assumptions.estimated(store, organization.id, report, filters, instead=one) for one in (None, given))
    return now, then


def _team_id() -> int | None:
    text = request.values.get("team", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


def _path() -> str:
    team_id = _team_id()
    return TAB if team_id is None else f"{TAB}?team={team_id}"


def _number(name: str) -> float | None:
    found = _decimal(name, "a number such as 0.5")
    return None if found is None else float(found)


def _cents(name: str) -> int | None:
    found = _decimal(name, "an amount in dollars such as 95 or 87.50")
    return None if found is None else int((found * 100).to_integral_value())


def _decimal(name: str, what: str) -> Decimal | None:
    text = request.values.get(name, "").strip().lstrip("$").replace(",", "")
    if not text:
        return None
    try:
        found = Decimal(text) if len(text) <= 20 else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not 0 <= found < 10**10:
        raise InvalidInput(f"{_WORDS[name]} is {what}", field=name)
    return found


def _range(name: str) -> Range | None:
    """Low, mid and high; None where all are left empty. Raises InvalidInput where one is."""
    found = [_number(f"{name}_{part}") for part in ("low", "mid", "high")]
    if all(value is None for value in found):
        return None
    low, mid, high = found
    if low is None or mid is None or high is None:
        raise InvalidInput(f"{_WORDS[f'{name}_low']} needs low, mid and high", field=name)
    return Range(low, mid, high)


_WORDS: dict[str, str] = {
    "hourly_cost": "The hourly cost",
    "seats": "Seats a month",
    "review_hours": "More review",
    "rework_hours": "Rework",
    "rollout": "Roll-out",
    "rollout_months": "The months of the roll-out",
    "survey_mean": "The mean of the survey",
    "survey_deviation": "The standard deviation of the survey",
    "survey_answers": "The number of answers",
    **{f"hours_{part}": "Hours saved" for part in ("low", "mid", "high")},
    **{f"recapture_{part}": "The recaptured share" for part in ("low", "mid", "high")},
}
