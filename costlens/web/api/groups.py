"""`groupBy` of GET /analytics/overview: its parameters, its rows in JSON and in CSV."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from flask import Response

from costlens.domain.shown import dollars
from costlens.domain.spreadsheet import csv_line
from costlens.services.groups import GROUP_BY, Group, GroupBy
from costlens.web.api import params

_COLUMNS = ("kind", "key", "name", "runs", "cost", "tokens", "unpricedRuns", "successRate", "avgLatency")


def asked() -> GroupBy | None:
    """`groupBy`, and `limit` of its rows. None: not asked for. Raises InvalidInput."""
    dimension = params.choice("groupBy", tuple(GROUP_BY))
    return GroupBy(dimension, params.number("limit", 100, 1, 1_000)) if dimension else None


def answer(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Rows whose runs and costs add up to the total's; `cost` is null where no run of the group has a price."""
    return [_row(group) | {"cost": dollars(_cost(group))} for group in groups]


def csv_answer(groups: Iterable[Group]) -> Response:
    """The same rows as CSV."""
    lines = [csv_line(_COLUMNS)]
    for group in groups:
        cost = _cost(group)
        row = _row(group) | {"cost": None if cost is None else Decimal(cost).scaleb(-9)}
        lines.append(csv_line(row[name] for name in _COLUMNS))
    return Response("".join(lines), mimetype="text/csv")


def _row(group: Group) -> dict[str, Any]:
    sums = group.sums
    return {
        "kind": group.kind,
        "key": group.key,
        "name": group.name,
        "runs": sums.runs,
        "cost": None,
        "tokens": sums.tokens,
        "unpricedRuns": sums.runs - sums.priced_runs,
        "successRate": round(100 * sums.succeeded / sums.runs, 2) if sums.runs else 0,
        "avgLatency": round(sums.latency_ms / sums.timed_runs) if sums.timed_runs else 0,
    }


def _cost(group: Group) -> int | None:
    return group.sums.cost_nanos if group.sums.priced_runs else None
