"""A member's own usage: what the runs of this person cost, by day, model, repository and prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from costlens.domain.access import Member
from costlens.domain.roi import Window
from costlens.services.analytics import Totals
from costlens.store import analytics
from costlens.store.analytics import Amounts, Where
from costlens.store.engine import Store, Tx
from costlens.store.identity import member_people

TOP = 8  # lines of a table; the rest is one line


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Cost and runs of one model, repository or prompt."""

    name: str
    runs: int
    cost_nanos: int
    share: float  # of the cost, 0 to 1


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """All of a window; `known` is false where no run, commit or key has named this person yet."""

    known: bool
    total: Totals
    previous: Totals
    days: tuple[int, ...]  # nano-dollars of each day of the window
    tables: dict[str, Sequence[UsageLine]]  # by model, repository, prompt; each adds up to the total


def own_usage(store: Store, by: Member, window: Window, before: Window) -> OwnUsage:
    """Sums of the member's person over days of the organization's own zone, and over the window before."""
    with store.read() as tx:
        person = member_people(tx, by.organization_id, [by.member_id]).get(by.member_id)
        if person is None:
            return OwnUsage(False, Totals(), Totals(), (0,) * window.days, {})
        where = Where(person_id=person)
        rows = analytics.sums_of_days(tx, by.organization_id, window.start, window.end, where)
        earlier = analytics.sums_of_days(tx, by.organization_id, before.start, before.end, where)
        total = _total(rows)
        by_model: dict[str, Totals] = defaultdict(Totals)
        for row in rows:
            by_model[row.model].add(row)
        tables = {"Model": _lines(by_model, total)}
        for label, dimension in (("Repository", "repository"), ("promptId", "prompt")):
            tables[label] = _lines(_groups(tx, by.organization_id, dimension, window, where), total)
    costs: dict[int, int] = defaultdict(int)
    for row in rows:
        costs[(row.day - window.start) // timedelta(days=1)] += row.cost_nanos
    return OwnUsage(True, total, _total(earlier), tuple(costs[at] for at in range(window.days)), tables)


def _total(rows: Iterable[Amounts]) -> Totals:
    total = Totals()
    for row in rows:
        total.add(row)
    return total


def _groups(tx: Tx, organization_id: int, dimension: str, window: Window, where: Where) -> dict[str, Totals]:
    rows = analytics.sums_by_dimension_where(tx, organization_id, dimension, window.start, window.end, where)
    names: dict[int, tuple[str, str | None]] = {}
    if dimension == "repository":
        ids = [int(row.value) for row in rows if row.value not in ("", "0")]
        names = analytics.names_of(tx, organization_id, dimension, ids)
    groups: dict[str, Totals] = defaultdict(Totals)
    for row in rows:
        known = names.get(int(row.value or 0)) if dimension == "repository" else (row.value, row.value)
        groups[(known[1] if known else None) or "none"].add(row)
    return groups


def _lines(groups: dict[str, Totals], total: Totals) -> Sequence[UsageLine]:
    ordered = sorted(groups.items(), key=lambda item: (-item[1].cost_nanos, -item[1].runs, item[0]))
    shown, rest = ordered[:TOP], ordered[TOP:]
    if rest:
        others = Totals()
        for _, sums in rest:
            others.runs += sums.runs
            others.cost_nanos += sums.cost_nanos
        shown.append((f"{len(rest)} others", others))
    whole = total.cost_nanos
    return [
        UsageLine(name, sums.runs, sums.cost_nanos, sums.cost_nanos / whole if whole else 0.0) for name, sums in shown
    ]
