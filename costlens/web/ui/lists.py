"""The rows behind the figures: runs, one run, and pull requests, as frozen rows and the pages that show them.

Every figure of the ROI pages links here. The query says which rows:
`period`, `team` (id or none), `repository` (id or none), `provider`;
runs also `state` (counted, suggested, pending, unlinked, not_code; `code` is all but the last), `reason`,
`price=none` (without a price) and `prompt`; pull requests also `outcome` (merged, open, abandoned, reverted; `closed`
is merged and abandoned). Without `period`, the last 28 days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flask import render_template

from costlens.web.ui.nav import Nav


@dataclass(frozen=True, slots=True)
class Applied:
    """One filter in force, with the URL of the same page without it."""

    label: str  # Repository
    value: str  # checkout-api
    without: str


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str  # as the API shows it
    occurred_at: datetime
    provider: str
    model: str
    prompt: str | None  # None: not named
    repository: str | None  # None: the run names none
    team: str | None  # None: no team
    person: str | None  # None: a shared key that names nobody
    tokens: int
    latency_ms: int | None  # None: not measured
    success: bool
    cost: int | None  # nano-dollars. None: unpriced
    estimated: bool  # usage was split or counted by estimate
    state: str  # counted, suggested, pending, unlinked, not_code
    target: str | None  # "checkout-api #482" of the counted link. None: not linked
    target_url: str | None  # on GitHub. None: not linked, or no such page


@dataclass(frozen=True, slots=True)
class RunsPage:
    rows: tuple[RunRow, ...]  # newest first
    total_runs: int  # under the filters, on all pages
    total_cost: int  # nano-dollars, on all pages
    unpriced_runs: int
    query: Mapping[str, str]  # the filters as they stand in the URL
    applied: tuple[Applied, ...] = ()
    range: str = ""  # "27 Oct – 23 Nov 2026 · UTC"
    next_url: str | None = None  # None: the last page


@dataclass(frozen=True, slots=True)
class TokenLine:
    """One class of tokens in a run's price."""

    name: str
    tokens: int
    picos: int | None  # pico-dollars per token. None: no price
    cost: int | None  # nano-dollars. None: no price


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One link of a run with its reason in a sentence."""

    target: str
    url: str | None
    state: str  # counted, suggested, rejected
    sentence: str  # ends with rule and confidence
    confidence: int  # permille


@dataclass(frozen=True, slots=True)
class RunDetail:
    run: RunRow
    lines: tuple[TokenLine, ...]
    price_facts: tuple[tuple[str, str], ...]  # source, version, tier, … as label and text
    facts: tuple[tuple[str, str], ...]  # key, session, branch, commit, … as label and text
    evidence: tuple[EvidenceLine, ...]
    unlinked_reason: str | None  # None unless the state is unlinked
    raw: str  # the run as the API gives it, indented JSON


@dataclass(frozen=True, slots=True)
class PullRow:
    number: int
    title: str
    repository: str
    url: str | None  # on GitHub. None: unknown
    author: str | None  # None: unknown
    outcome: str  # merged, open, abandoned, reverted
    created_at: datetime
    ended_at: datetime | None  # merged or closed. None: open
    runs: int
    runs_url: str
    cost: int  # nano-dollars, counted over the whole life of the pull request
    cycle_hours: float | None  # None: no commits known, or not merged


@dataclass(frozen=True, slots=True)
class PullsPage:
    rows: tuple[PullRow, ...]  # latest end first
    total_pulls: int  # under the filters, on all pages
    total_cost: int  # nano-dollars, on all pages
    any_known: bool  # the organization has pull requests at all
    query: Mapping[str, str] = field(default_factory=dict)
    applied: tuple[Applied, ...] = ()
    range: str = ""
    next_url: str | None = None  # None: the last page


def render_runs(page: RunsPage, nav: Nav, *, now: datetime | None = None) -> str:
    """The HTML of the list of runs; `now` is aware."""
    return render_template("runs/list.html", nav=nav, page="runs", list=page, now=now or datetime.now(UTC))


def render_run(detail: RunDetail, nav: Nav) -> str:
    """The HTML of one run: why it costs what it does, and what it is linked to."""
    return render_template("runs/run.html", nav=nav, page="runs", detail=detail, run=detail.run)


def render_pulls(page: PullsPage, nav: Nav, *, now: datetime | None = None) -> str:
    """The HTML of the list of pull requests with counted runs; `now` is aware."""
    return render_template("pulls/list.html", nav=nav, page="pulls", list=page, now=now or datetime.now(UTC))
