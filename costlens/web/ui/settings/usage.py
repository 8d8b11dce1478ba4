"""A member's own usage."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, request

from costlens.domain.periods import DEFAULT_PERIOD, local_day, previous_window, window
from costlens.services.own_usage import own_usage
from costlens.web import charts
from costlens.web.access import current_member, needs, page_organization
from costlens.web.context import context
from costlens.web.formats import date_range
from costlens.web.ui.filters import PERIODS
from costlens.web.ui.settings.frame import settings_page


def blueprint() -> Blueprint:
    """The page of one's own usage."""
    routes = Blueprint("own_usage", __name__, url_prefix="/app/<slug>/settings/usage")
    routes.get("")(usage_page)
    return routes


@needs("see_own_usage")
def usage_page(slug: str) -> str:
    """What the runs of the signed-in member cost."""
    asked = request.args.get("period", DEFAULT_PERIOD)
    period = asked if asked in PERIODS else DEFAULT_PERIOD
    zone = page_organization().timezone
    span = window(period, zone, local_day(datetime.now(UTC), zone))
    before = previous_window(span)
    return settings_page(
        "usage.html",
        "usage",
        usage=own_usage(context().store, current_member(), span, before),
        period=period,
        periods=PERIODS,
        range=date_range(span.start, span.end),
        compared=date_range(before.start, before.end),
        sparkline=charts.sparkline,
    )
