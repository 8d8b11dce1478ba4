"""Sums that are written in the transaction of the runs they sum.

`Change` gathers what a set of runs adds (or, with sign −1, takes away), so a batch makes one upsert per group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table

from costlens.domain.links import LinkState, Outcome, UnlinkedReason
from costlens.domain.runs import NOT_CODE_ENVIRONMENTS
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.pull_outcomes import Outcomes, facts_of, outcomes_of
from costlens.store.upsert import add_to

QUARTER = timedelta(minutes=15)
LINK_MEASURES = ("runs", "priced_runs", "cost_nanos")
PULL_MEASURES = ("runs", "cost_nanos")
_STEP = math.log(1.1)

Key = tuple[Any, ...]
Sums = Sequence[int]
Groups = dict[Key, Sums]
Gathered = dict[Key, list[Sums]]  # to be summed at once, which costs a fraction of adding one by one

KEYS = {
    table: tuple(column.name for column in table.primary_key.columns)
    for table in (
        t.rollup_15m,
        t.rollup_latency,
        t.rollup_latency_day,
        t.rollup_day,
        t.rollup_dimension,
        t.rollup_links,
        t.rollup_spend,
        t.rollup_pulls,
        t.rollup_runs,
    )
}


def quarter(at: datetime) -> datetime:
    """Start of the quarter hour of a moment in UTC."""
    return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)


def latency_step(milliseconds: int) -> int:
    """Log bucket of a latency: `int(ln(ms) / ln 1.1)`, so a percentile is at most 5 % off (DDSketch's idea)."""
    return int(math.log(milliseconds) / _STEP) if milliseconds > 1 else 0


class Change:
    """What to add to the rollups of one organization."""

    def __init__(self, organization_id: int, timezone: str) -> None:
        self.organization_id = organization_id
        self.zone = ZoneInfo(timezone)
        self.quarters: Gathered = {}
        self.latencies: Gathered = {}
        self.latency_days: Gathered = {}
        self.days: Gathered = {}
        self.links: Gathered = {}
        self.runs: Gathered = {}
        self._dates: dict[datetime, date] = {}

    def day(self, run: Mapping[str, Any]) -> date:
        """The run's day in the organization's time zone."""
        return self._day(quarter(run["occurred_at"]))

    def _day(self, bucket: datetime) -> date:
        # Days begin at a quarter hour in every time zone, so one answer holds for the whole bucket.
        found = self._dates.get(bucket)
        if found is None:
            found = self._dates[bucket] = bucket.astimezone(self.zone).date()
        return found

    def add_run(self, run: Mapping[str, Any], sign: int = 1) -> None:
        """All but the ledger: sums of runs, tokens, money and latency."""
        measures = _measures(run)
        if sign != 1:
            measures = tuple(sign * value for value in measures)
        bucket, provider, model = quarter(run["occurred_at"]), run["provider"], run["model"]
        _add(self.quarters, (bucket, provider, model, run["code"], run["success"]), measures)
        key = (
            self._day(bucket),
            run["team_id"] or 0,
            run["person_id"] or 0,
            run["repository_id"] or 0,
            provider,
            model,
            run["prompt_id"] or "",
            run["tool"] or "",
            run["environment"] or "",
        )
        _add(self.days, key, measures)
        if run["latency_ms"] is not None:
            step = latency_step(run["latency_ms"])
            _add(self.latencies, (bucket, provider, model, step), (sign,))
            _add(self.latency_days, (self._day(bucket), provider, step), (sign,))

    def add_ledger(self, run: Mapping[str, Any], links: Sequence[Mapping[str, Any]], sign: int = 1) -> None:
        """The run's money by bucket: each counted link's share, and the rest where the run's state says; and the run
        under its state.
        """
        day = self.day(run)
        for key, sums in ledger_rows(run, links):
            _add(self.links, (day, *key), sums if sign == 1 else [sign * value for value in sums])
        cost = run["cost_nanos"]
        key = (
            day,
            run["team_id"] or 0,
            run["provider"],
            run["model"],
            run["tool"] or "",
            run["environment"] or "",
            run["success"],
            run["link_state"],
            run["unlinked_reason"] or "",
        )
        _add(self.runs, key, (sign, 0 if cost is None else sign, sign * (cost or 0)))

    @property
    def pull_ids(self) -> set[int]:
        """The pull requests that money is linked to."""
        return {key[-1] for key in self.links if key[-1]}

    def groups(self, outcomes: Outcomes) -> list[tuple[Table, tuple[str, ...], Groups]]:
        """Each rollup with its measures and what to add to them, by the primary key without the organization.

        `outcomes` are those of `pull_ids`.
        """
        days, links = _summed(self.days), _summed(self.links)
        return [
            (t.rollup_15m, t.MEASURES, _summed(self.quarters)),
            (t.rollup_latency, ("runs",), _summed(self.latencies)),
            (t.rollup_latency_day, ("runs",), _summed(self.latency_days)),
            (t.rollup_day, t.MEASURES, days),
            (t.rollup_dimension, t.MEASURES, by_dimension(days) | states(links)),
            (t.rollup_links, LINK_MEASURES, links),
            (t.rollup_runs, LINK_MEASURES, _summed(self.runs)),
            (t.rollup_spend, t.SPEND_MEASURES, spend(days, links, outcomes)),
            (t.rollup_pulls, PULL_MEASURES, pulls(links)),
        ]

    def write(self, tx: Tx) -> None:
        """Adds everything gathered."""
        outcomes = outcomes_of(tx, self.organization_id, self.pull_ids, hold=True)
        for table, measures, groups in self.groups(outcomes):
            some = {key: sums for key, sums in groups.items() if any(sums)}
            add_groups(tx, self.organization_id, table, measures, some, outcomes)


def add_groups(
    tx: Tx, organization_id: int, table: Table, measures: tuple[str, ...], groups: Groups, outcomes: Outcomes
) -> None:
    """Adds to one rollup, in the order of the keys, so that two writers never wait for each other in a circle.

    `outcomes` are those of its pull requests, held or changed by this transaction.
    """
    wanted = sorted(groups.items())
    names = (*KEYS[table], *measures)
    if table is t.rollup_pulls:
        told = [(organization_id, *key, *sums, *facts_of(outcomes, key[1])) for key, sums in wanted]
        add_to(tx, table, (*names, *t.PULL_FACTS), told, measures, t.PULL_FACTS)
    else:
        add_to(tx, table, names, [(organization_id, *key, *sums) for key, sums in wanted], measures)


def by_dimension(days: Groups) -> Groups:
    """All groups of rollup_dimension that these of rollup_day add up to."""
    return dimensions(days) | contributors(days) | calls(days)


def call_of(provider: str, model: str) -> str:
    """A provider's model as one name; `provider_and_model` takes it apart."""
    return f"{len(provider)}:{provider}{model}"


def provider_and_model(call: str) -> tuple[str, str]:
    """What `call_of` made a name of."""
    length, _, names = call.partition(":")
    return names[: int(length)], names[int(length) :]


def narrowed(dimension: str, by: str, value: int | str) -> str:
    """The name of a dimension of NARROWED, or of contributors, among the runs of one value of another.

    0 and '' stand for none.
    """
    return f"{dimension}@{by}={value or ''}"


def calls(days: Groups) -> Groups:
    """The groups of rollup_dimension of models with their providers, and of what NARROWED says."""
    # Models, prompts and what narrows them first, so that a group of rows is added up once for all of these.
    gathered: Gathered = {}
    for (day, team, _person, *others), sums in days.items():
        _add(gathered, (day, team, *others), sums)
    found: Gathered = {}
    for (day, team, repository, provider, model, prompt, tool, environment), sums in _summed(gathered).items():
        call = call_of(provider, model)
        by = {
            "team": team,
            "repository": repository,
            "provider": provider,
            "model": model,
            "tool": tool,
            "environment": environment,
        }
        _add(found, ("call", call, day), sums)
        for dimension, value in (("call", call), ("prompt", prompt)):
            for name in t.NARROWED[dimension]:
                _add(found, (narrowed(dimension, name, by[name]), value, day), sums)
    return _summed(found)


def dimensions(days: Groups) -> Groups:
    """The groups of rollup_dimension that these of rollup_day add up to: (dimension, value, day) → sums."""
    found: Groups = {}
    for place, dimension in enumerate(t.DIMENSIONS, start=1):
        gathered: Gathered = {}
        of = itemgetter(place, 0)
        for key, sums in days.items():
            _add(gathered, of(key), sums)
        found.update({(dimension, str(value or ""), day): sums for (value, day), sums in _summed(gathered).items()})
    return found


def contributors(days: Groups) -> Groups:
    """The groups of rollup_dimension of people with runs outside production, of all providers and of each:
    ("contributor", person, day) → sums.
    """
    gathered: Gathered = {}
    for (day, _team, person, _repository, provider, *_, environment), sums in days.items():
        if person and environment not in NOT_CODE_ENVIRONMENTS:
            _add(gathered, ("contributor", str(person), day), sums)
            _add(gathered, (narrowed("contributor", "provider", provider), str(person), day), sums)
    return _summed(gathered)


def spend(days: Groups, links: Groups, outcomes: Outcomes) -> Groups:
    """The groups of rollup_spend that these of rollup_day and rollup_links add up to.

    `outcomes` are those of the pull requests that the links name.
    """
    used: Gathered = {}
    for (day, team, _person, repository, provider, *_), sums in days.items():
        _add(used, ("whole", day, team, repository, provider), _usage_sums(sums))
    gathered: Gathered = {key: [(*sums, *_NO_LEDGER)] for key, sums in _summed(used).items()}
    for (day, team, repository, provider, state, reason, pull), (runs, priced, cost) in links.items():
        told = dict.fromkeys(_bucket_of_pull(outcomes, pull) if pull else _BUCKETS_OF[state, reason], cost)
        told |= {"ledger_runs": runs, "ledger_priced_runs": priced, f"{reason or state}_runs": runs}
        sums = tuple(told.get(name, 0) for name in t.SPEND_MEASURES)
        _add(gathered, ("whole", day, team, repository, provider), sums)
    whole = _summed(gathered)
    cuts: Gathered = {}
    for (_cut, day, team, repository, provider), sums in whole.items():
        _add(cuts, ("team", day, team, 0, ""), sums)
        _add(cuts, ("repository", day, 0, repository, ""), sums)
        _add(cuts, ("source", day, team, 0, provider), sums)
    return whole | _summed(cuts)


def pulls(links: Groups) -> Groups:
    """The groups of rollup_pulls that these of rollup_links add up to, of the days that they are of."""
    gathered: Gathered = {}
    for (_day, team, repository, provider, state, _reason, pull), (runs, _priced, cost) in links.items():
        if state == LinkState.COUNTED and pull:
            _add(gathered, ("whole", pull, team, repository, provider), (runs, cost))
            _add(gathered, ("team", pull, team, 0, ""), (runs, cost))
            _add(gathered, ("repository", pull, 0, repository, ""), (runs, cost))
            _add(gathered, ("pull", pull, 0, 0, ""), (runs, cost))
    return _summed(gathered)


def moved(links: Groups, before: Outcomes, after: Outcomes) -> Groups:
    """What to add to rollup_spend when these groups' pull requests are no longer what they were."""
    gathered: Gathered = {}
    for sign, outcomes in ((-1, before), (1, after)):
        for key, sums in spend({}, links, outcomes).items():
            _add(gathered, key, tuple(sign * value for value in sums))
    return {key: sums for key, sums in _summed(gathered).items() if any(sums)}


_usage_sums = itemgetter(*(t.MEASURES.index(name) for name in t.USAGE_SUMS))
_NO_LEDGER = (0,) * (len(t.SPEND_MEASURES) - len(t.USAGE_SUMS))
# The columns of rollup_spend that the cost of a row of rollup_links goes to, by state and reason.
_BUCKETS_OF: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("counted", ""): ("counted_nanos", "direct_nanos"),
        **{(state, ""): (f"{state}_nanos",) for state in ("suggested", "pending", "not_code")},
        **{("unlinked", str(reason)): (f"{reason}_nanos",) for reason in UnlinkedReason},
    }
)


def _bucket_of_pull(outcomes: Outcomes, pull: int) -> tuple[str, ...]:
    found = outcomes.get(pull)
    if found is None:  # gone: until the linker has looked at its runs again they are as good as direct work
        return _BUCKETS_OF["counted", ""]
    return ("counted_nanos",) if found.outcome == Outcome.MERGED else ("counted_nanos", f"{found.outcome}_nanos")


def states(links: Groups) -> Groups:
    """The groups of rollup_dimension that these of rollup_links add up to: ("state", link state, day) → sums."""
    gathered: Gathered = {}
    for (day, _team, _repository, _provider, state, *_), sums in links.items():
        _add(gathered, ("state", state, day), sums)
    found: Groups = {}
    for key, sums in _summed(gathered).items():
        told = dict(zip(LINK_MEASURES, sums, strict=True))
        found[key] = tuple(told.get(name, 0) for name in t.MEASURES)
    return found


def ledger_rows(run: Mapping[str, Any], links: Sequence[Mapping[str, Any]]) -> list[tuple[Key, list[int]]]:
    """(team, repository, provider, state, reason, pull request) → (runs, priced runs, cost) of one run.

    The run is counted once, in its first row; its cost is split over all rows and never lost.
    """
    head = (run["team_id"] or 0,)
    priced = int(run["cost_nanos"] is not None)
    left = run["cost_nanos"] or 0
    rows: list[tuple[Key, list[int]]] = []
    for link in links:
        if link["state"] != "counted":
            continue
        repository = run["repository_id"] or link["repository_id"]
        key = (*head, repository, run["provider"], "counted", "", link["pull_request_id"] or 0)
        rows.append((key, [0, 0, link["cost_nanos"]]))
        left -= link["cost_nanos"]
    if run["link_state"] != "counted" or not rows:
        key = (*head, run["repository_id"] or 0, run["provider"], run["link_state"], run["unlinked_reason"] or "", 0)
        rows.append((key, [0, 0, left]))
    rows[0][1][:2] = [1, priced]
    return rows


def _measures(run: Mapping[str, Any]) -> tuple[int, ...]:
    cost, baseline, latency = run["cost_nanos"], run["baseline_cost_nanos"], run["latency_ms"]
    return (
        1,
        int(run["success"]),
        int(cost is not None),
        int(run["usage_quality"] == "exact"),
        run["input_uncached"],
        run["cache_read"],
        run["cache_write_5m"],
        run["cache_write_1h"],
        run["output_text"],
        run["output_reasoning"],
        cost or 0,
        baseline or 0,
        baseline - cost if baseline is not None and cost is not None else 0,
        latency or 0,
        int(latency is not None),
    )


def _add(gathered: Gathered, key: Key, sums: Sums) -> None:
    found = gathered.get(key)
    if found is None:
        gathered[key] = [sums]
    else:
        found.append(sums)


def _summed(gathered: Gathered) -> Groups:
    return {
        key: rows[0] if len(rows) == 1 else tuple(map(sum, zip(*rows, strict=True))) for key, rows in gathered.items()
    }
