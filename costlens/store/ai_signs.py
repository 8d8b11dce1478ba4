"""The signs of AI in a pull request, as columns: the same in every list, share and comparison."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, func, or_

from costlens.store.tables import pull_requests, rollup_pulls


def linked(organization_id: int) -> ColumnElement[bool]:
    """Whether runs are counted for it, whatever their team or provider."""
    u = rollup_pulls.alias("anywhere").c  # of its own: a list may read the table under its filters
    # Rows of links that were taken back hold zeros.
    return exists().where(
        u.organization_id == organization_id,
        u.cut == "pull",
        u.pull_request_id == pull_requests.c.id,
        or_(u.runs > 0, u.cost_nanos > 0),
    )


def manual() -> ColumnElement[bool]:
    """Whether a person said that it was made by hand, which outranks every sign."""
    return func.coalesce(pull_requests.c.ai_mark, "") == "manual"


def declared() -> ColumnElement[bool]:
    """Whether it declares AI by itself, or a person says so; see `manual`."""
    return or_(pull_requests.c.ai_signal.is_not(None), func.coalesce(pull_requests.c.ai_mark, "") == "ai")
