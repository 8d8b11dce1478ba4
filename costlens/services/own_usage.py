"""A member's own usage: what the runs of this person cost, by day, model, repository and prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from costlens.domain.access import Member
from costlens.domain.roi import Window
from costlens.services.analytics import Totals
from costlens.store import analytics
from costlens.store.engine import Store
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
        mine = (tx, by.organization_id, person)
        days = analytics.days_of_person(*mine, before.start, window.end)
        rows = analytics.sums_of_person(*mine, [row.day for row in days if row.day >= window.start])
        ids = sorted({row.repository_id for row in rows if row.repository_id})
        repositories = analytics.names_of(tx, by.organization_id, "repository", ids)
    total, earlier, costs = Totals(), Totals(), [0] * window.days
    for one in days:
        if one.day >= window.start:
            total.add(one)
            costs[(one.day - window.start) // timedelta(days=1)] += one.cost_nanos
        elif one.day <= before.end:
            earlier.add(one)
    tables: dict[str, Sequence[UsageLine]] = {}
    for label, name in (
        ("Model", lambda row: row.model),
        ("Repository", lambda row: repositories.get(row.repository_id, (None, None))[1]),
        ("promptId", lambda row: row.prompt_id),
    ):
        groups: dict[str, Totals] = defaultdict(Totals)
        for row in rows:
            group = groups[name(row) or "none"]
            group.runs += row.runs
            group.cost_nanos += row.cost_nanos
        tables[label] = _lines(groups, total)
    return OwnUsage(True, total, earlier, tuple(costs), tables)


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
