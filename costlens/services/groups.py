"""A period's sums by team, person, repository, …: the dearest groups, and rows for the rest, so that they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from costlens.domain.roi import Window
from costlens.store import analytics
from costlens.store.analytics import Amounts, Where
from costlens.store.engine import Tx

# What the API calls each dimension of the rollups.
GROUP_BY = {
    "team": "team",
    "person": "person",
    "repository": "repository",
    "provider": "provider",
    "model": "model",
    "promptId": "prompt",
    "tool": "tool",
    "environment": "environment",
}
_BY_ID = ("team", "person", "repository")


@dataclass(frozen=True, slots=True)
class GroupBy:
    dimension: str  # a key of GROUP_BY
    limit: int = 100  # groups that are told apart


@dataclass(frozen=True, slots=True)
class Group:
    """`none` sums the runs that name nothing, `other` the groups past the limit."""

    kind: Literal["group", "none", "other"]
    key: str | None  # what a filter calls it, or an id in digits. None: none and other
    name: str | None  # what people call it. None: it has no other name than its key, or is gone
    sums: Amounts


def read_groups(tx: Tx, organization_id: int, window: Window, where: Where, by: GroupBy) -> tuple[Group, ...]:
    """Groups of a window in the organization's own zone, dearest first, then `none`, then `other`."""
    dimension = GROUP_BY[by.dimension]
    span = (tx, organization_id, dimension, window.start, window.end)
    rows = analytics.sums_by_dimension(*span) if where == Where() else analytics.sums_by_dimension_where(*span, where)
    rows = [row for row in rows if row.runs or row.cost_nanos]
    named = sorted((row for row in rows if row.value), key=lambda row: (-row.cost_nanos, -row.runs, row.value))
    shown, rest = named[: by.limit], named[by.limit :]
    names = {}
    if dimension in _BY_ID:
        names = analytics.names_of(tx, organization_id, dimension, [int(row.value) for row in shown])
    groups = []
    for row in shown:
        key, name = names.get(int(row.value), (row.value, None)) if dimension in _BY_ID else (row.value, None)
        groups.append(Group("group", key, name, row))
    groups += [Group("none", None, None, row) for row in rows if not row.value]
    if rest:
        groups.append(Group("other", None, None, _total(rest)))
    return tuple(groups)


def _total(rows: Sequence[Amounts]) -> Amounts:
    return Amounts(*(sum(getattr(row, item.name) for row in rows) for item in fields(Amounts)))
