"""A report that is kept: all that it is made of, and what in it is worth a look, computed from that alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from costlens.domain.comparison import Matched
from costlens.domain.estimates import Assumptions, Basis
from costlens.domain.roi import RoiReport, RoiRow, per_unit
from costlens.domain.unlinked import UNLINKED
from costlens.domain.written import change, day, money, number, number_of, percent

SCHEMA = 2  # counted up when stored inputs change their shape; 2: seats
KINDS = ("day", "week", "month", "asked")
FINDINGS = 3
SMALL = 200  # less than one two-hundredth of the money is not worth a look
MANY_RUNS = 20  # of a model, before its cost per run means something
DEARER = 1.25


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about."""

    scope: str  # organization, team, repository
    id: int  # 0: the organization
    name: str


@dataclass(frozen=True, slots=True)
class PullLine:
    """A closed pull request with its counted cost over its whole life."""

    repository: str
    number: int
    title: str
    outcome: str
    runs: int
    cost: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model in the window and in the one before; not code included."""

    provider: str
    model: str
    runs: int
    cost: int
    runs_before: int
    cost_before: int


@dataclass(frozen=True, slots=True)
class PriceChange:
    """An own price of the organization that took effect in the window."""

    provider: str
    model: str
    since: date


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that a report is rendered from; nothing else is read."""

    schema: int
    kind: str
    subject: Subject
    as_of: datetime
    program: str  # version of CostLens
    prices: str  # version of the price data
    ruleset: int  # of the linker
    roi: RoiReport
    assumed: Assumptions
    basis: Basis
    pulls: tuple[PullLine, ...]  # the dearest first
    models: tuple[ModelUse, ...]  # the dearest first
    price_changes: tuple[PriceChange, ...]
    compared_from: date | None = None  # None: no comparison in this report
    compared_pulls: int = 0
    compared_assisted: int = 0
    compared: tuple[Matched, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth a look, with the money that it is about and where the rows are."""

    kind: str
    amount: int  # nano-dollars
    text: str
    fix: str  # what to do; '' where looking is all
    page: str  # below the organization
    query: Mapping[str, object] = field(default_factory=dict)


def worth_a_look(inputs: Inputs) -> list[Finding]:
    """At most three findings, those about the most money first, one of a kind."""
    total = inputs.roi.total.spend.total + inputs.roi.previous.spend.total
    best: dict[str, Finding] = {}
    for finding in _findings(inputs):
        known = best.get(finding.kind)
        if finding.amount * SMALL >= total and finding.amount > 0 and (not known or finding.amount > known.amount):
            best[finding.kind] = finding
    return sorted(best.values(), key=lambda one: (-one.amount, one.kind))[:FINDINGS]


def _findings(inputs: Inputs) -> Iterator[Finding]:
    yield from _movers(inputs)
    yield from _lost(inputs)
    yield from _unlinked(inputs)
    yield from _models(inputs)
    yield from _prices(inputs)


def _movers(inputs: Inputs) -> Iterator[Finding]:
    report = inputs.roi
    for row in report.rows:
        now, before = row.figures.spend.code, row.previous.spend.code
        direction = "rose" if now > before else "fell"
        text = (
            f"Code spend of {row.name} {direction} from {money(before)} to {money(now)} ({change(now, before)}); "
            f"{_shipped(row, report)}."
        )
        query = _of_row(inputs, row) | {"state": "code"}
        yield Finding("mover", abs(now - before), text, "", "runs", query)


def _shipped(row: RoiRow, report: RoiReport) -> str:
    now, before = row.figures, row.previous
    seats = "" if now.seats is not None or report.total.seats is None else " without seats"
    return (
        f"merged PRs {number(before.merged)} before, {number(now.merged)} now, at {money(now.full_per_merged)} full "
        f"cost each{seats} after {money(before.full_per_merged)}"
    )


def _lost(inputs: Inputs) -> Iterator[Finding]:
    spend, basis = inputs.roi.total.spend, _basis(inputs)
    for outcome, amount, what in (
        ("abandoned", spend.abandoned, "pull requests that were closed without a merge"),
        ("reverted", spend.reverted, "pull requests that were reverted"),
    ):
        dearest = next((pull for pull in inputs.pulls if pull.outcome == outcome), None)
        named = ""
        if dearest:
            named = f" The dearest: {dearest.repository}#{dearest.number}, {dearest.title} ({money(dearest.cost)})."
        share = percent(amount / spend.code if spend.code else None)
        text = f"{money(amount)} ({share} of code spend) went into {what}.{named}"
        yield Finding(outcome, amount, text, "", "pulls", basis | {"outcome": outcome})


def _unlinked(inputs: Inputs) -> Iterator[Finding]:
    spend, reasons, basis = inputs.roi.total.spend, inputs.roi.unlinked_reasons, _basis(inputs)
    if reasons:
        reason = max(sorted(reasons), key=lambda one: reasons[one])
        words, fix = UNLINKED[reason].why, UNLINKED[reason].fix
        share = percent(spend.unlinked / spend.code if spend.code else None)
        text = f"{money(spend.unlinked)} ({share} of code spend) is linked to no work" + (
            f": {words}." if len(reasons) == 1 else f"; for {money(reasons[reason])} of it {words}."
        )
        yield Finding("unlinked", spend.unlinked, text, fix, "runs", basis | {"state": "unlinked", "reason": reason})
    if spend.suggested:
        text = f"{money(spend.suggested)} is linked only by suggestion, and counts nowhere until somebody confirms it."
        fix = "Confirm or reject the suggestions on the pages of these runs."
        yield Finding("suggested", spend.suggested, text, fix, "runs", basis | {"state": "suggested"})


def _models(inputs: Inputs) -> Iterator[Finding]:
    spend, before, basis = inputs.roi.total.spend, inputs.roi.previous.spend, _basis(inputs)
    for use in inputs.models:
        query = basis | {"model": use.model}
        if before.runs and not use.runs_before:
            text = (
                f"{use.model} ({use.provider}) is new: {money(use.cost)} in {number_of(use.runs, 'run')}, "
                f"{percent(use.cost / spend.total if spend.total else None)} of AI cost."
            )
            yield Finding("new_model", use.cost, text, "", "runs", query)
        elif min(use.runs, use.runs_before) >= MANY_RUNS:
            each, earlier = per_unit(use.cost, use.runs) or 0, per_unit(use.cost_before, use.runs_before) or 0
            if each > earlier * DEARER or earlier > each * DEARER:
                text = (
                    f"A run of {use.model} costs {money(each)} on average after {money(earlier)} "
                    f"({change(each, earlier)}), over {number_of(use.runs, 'run')}."
                )
                yield Finding("cost_per_run", abs(each - earlier) * use.runs, text, "", "runs", query)
    if spend.unpriced_runs:
        # What they cost is not known; as much as as many other runs is a fair guess for their rank alone.
        priced = spend.runs - spend.unpriced_runs
        amount = spend.total * spend.unpriced_runs // priced if priced else 0
        text = f"{number_of(spend.unpriced_runs, 'run')} of {number(spend.runs)} have no price: their cost is unknown."
        fix = "Set a price for their model, then price the stored runs anew."
        yield Finding("unpriced", amount, text, fix, "runs", basis | {"price": "none"})


def _prices(inputs: Inputs) -> Iterator[Finding]:
    for one in inputs.price_changes:
        cost = sum(use.cost for use in inputs.models if (use.provider, use.model) == (one.provider, one.model))
        text = f"A price of your own for {one.model} ({one.provider}) took effect on {day(one.since)}: {money(cost)}."
        yield Finding("price", cost, text, "", "runs", _basis(inputs) | {"model": one.model})


def _basis(inputs: Inputs) -> dict[str, object]:
    """The filters under which the pages show the same rows."""
    window, subject = inputs.roi.window, inputs.subject
    of = {subject.scope: subject.id} if subject.scope != "organization" else {}
    return {"from": window.start.isoformat(), "to": window.end.isoformat(), **of}


def _of_row(inputs: Inputs, row: RoiRow) -> dict[str, object]:
    return _basis(inputs) | {inputs.roi.scope: "none" if row.id is None else row.id}
