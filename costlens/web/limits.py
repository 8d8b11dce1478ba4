"""What a plan allows, asked once a request: requests and batches by the minute, runs by the month."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g

from costlens.domain.errors import PaymentRequired, RateLimited
from costlens.rate_limits import Taken
from costlens.services.usage import PlanUsage, plan_usage
from costlens.store.organizations import KeyRow
from costlens.web.context import context


def set_up_limits(app: Flask) -> None:
    """Tells callers on limited plans how much is left of the minute."""
    app.after_request(_headers)


def charge_request(key: KeyRow) -> None:
    """Counts this request against the key's minute, once. Raises RateLimited."""
    limit = context().settings.plan(key.organization.plan).requests_per_minute
    if limit is not None and "rate" not in g:
        _take(f"request:{key.id}", limit)


def charge_batch(key: KeyRow) -> None:
    """Counts this request as a batch, which has a minute of its own beside that of requests. Raises RateLimited."""
    limit = context().settings.plan(key.organization.plan).batches_per_minute
    if limit is not None:
        _take(f"batch:{key.id}", limit)


def _take(name: str, limit: int) -> None:
    taken = context().limits.take(name, limit)
    g.rate = taken
    if taken is not None and not taken.allowed:
        raise RateLimited("Rate limit exceeded", retry_after=taken.reset)


def month_of(key: KeyRow) -> PlanUsage | None:
    """What the organization used of its month. None: its plan has no limit. Raises PaymentRequired when all is used."""
    plan = context().settings.plan(key.organization.plan)
    if plan.runs_per_month is None:
        return None
    used = plan_usage(context().store, key.organization, plan)
    if used.left == 0:
        raise used_up(used)
    return used


def used_up(used: PlanUsage) -> PaymentRequired:
    """The error of a run past the month's limit."""
    return PaymentRequired(f"Payment Required - Upgrade needed: {used.warning}")


def warning(used: PlanUsage | None) -> dict[str, Any] | None:
    """What an answer tells from 80 % of the month's runs on. None: nothing."""
    if used is None or used.warning is None:
        return None
    return {
        "code": "monthly_runs",
        "message": used.warning,
        "runsThisMonth": used.runs_this_month,
        "runsLimit": used.runs_limit,
        "percentUsed": used.percent_used,
    }


def _headers(response: Response) -> Response:
    taken: Taken | None = g.get("rate")
    if taken is not None:
        response.headers["X-RateLimit-Limit"] = str(taken.limit)
        response.headers["X-RateLimit-Remaining"] = str(taken.remaining)
        response.headers["X-RateLimit-Reset"] = str(taken.reset)
    return response
