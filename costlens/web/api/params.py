"""Query parameters: read and checked here, whatever the route."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from flask import request

from costlens.domain.errors import InvalidInput
from costlens.domain.names import repository_name
from costlens.domain.periods import last_days, local_day, window
from costlens.domain.roi import Filters, Window
from costlens.services import scopes
from costlens.store.analytics import Where
from costlens.store.organizations import Organization
from costlens.web.context import context


def text(name: str) -> str | None:
    """A parameter's text. None: absent or empty. Raises InvalidInput for a NUL or more than 500 characters."""
    value = request.args.get(name, "").strip()
    if "\0" in value or len(value) > 500:
        raise InvalidInput(f"{name} cannot be used", field=name)
    return value or None


def number(name: str, default: int, low: int, high: int) -> int:
    """A whole number from `low` to `high`. Raises InvalidInput."""
    value = text(name)
    if value is None:
        return default
    if not value.isdecimal() or not low <= int(value) <= high:
        raise InvalidInput(f"{name} must be a whole number from {low} to {high}", field=name)
    return int(value)


def choice(name: str, allowed: tuple[str, ...]) -> str | None:
    """One of the allowed words; None when absent. Raises InvalidInput."""
    value = text(name)
    if value is not None and value not in allowed:
        raise InvalidInput(f"{name} must be one of {', '.join(allowed)}", field=name)
    return value


def period(organization: Organization, *, default: str = "28d", any_zone: bool = False) -> Window:
    """The window of startDate and endDate (both included), days, or period; else the default preset.

    A timestamp stands for its local day. `any_zone` lets `timezone` differ from the organization's.
    """
    zone = text("timezone") or organization.timezone
    today = local_day(datetime.now(UTC), zone)
    if not any_zone and zone != organization.timezone:
        raise InvalidInput(f"timezone must be the organization's, {organization.timezone}", field="timezone")
    start, end = _day(text("startDate"), zone, "startDate"), _day(text("endDate"), zone, "endDate")
    if text("days") and start is None and end is None:
        return last_days(number("days", 30, 1, 1_830), zone, today)
    if default == "30d" and start is None and end is None and not text("period"):
        return last_days(30, zone, today)
    return window(text("period"), zone, today, start=start, end=end)


def _day(value: str | None, zone: str, field: str) -> str | None:
    if value is None or len(value) <= 10:
        return value
    try:
        at = datetime.fromisoformat(value.replace(" ", "+"))
        return local_day(at if at.tzinfo else at.replace(tzinfo=UTC), zone).isoformat()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{field} must be a date or a time in ISO 8601, such as 2026-01-31", field=field) from error


def roi_filters(organization: Organization) -> Filters:
    """`team` and `repo` by name (or `none`), and `provider`."""
    team, repository = _scope(organization)
    return Filters(team_id=team, provider=_provider(), repository_id=repository)


def analytics_where(organization: Organization) -> Where:
    """The filters that the rollups can answer. Raises InvalidInput, NotFound."""
    team, repository = _scope(organization)
    return Where(_provider(), text("model"), team, repository, text("promptId"))


def usage_where(organization: Organization) -> Where:
    """The same without a prompt, and with `environment` and `tool` (or `none`)."""
    names = {name: text(name) for name in ("environment", "tool")}
    return replace(
        analytics_where(organization),
        prompt_id=None,
        environment="" if names["environment"] == "none" else names["environment"],
        tool="" if names["tool"] == "none" else names["tool"],
    )


def _provider() -> str | None:
    value = text("provider")
    return value.lower() if value else None


def _scope(organization: Organization) -> tuple[int | None, int | None]:
    return scopes.find_scope(context().store, organization.id, team=text("team"), repository=_repository())


def _repository() -> str | None:
    value = text("repo")
    return value if value in (None, "none") else repository_name(str(value))
