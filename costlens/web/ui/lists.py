"""The rows behind the figures: runs, one run, and pull requests, as frozen rows and the pages that show them.

Every figure of the ROI pages links here; RunFilters and PullFilters say what a query may ask for. State `code` is all
but not_code; outcome `closed` is merged and abandoned; merged includes what was reverted later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from flask import render_template

from costlens.domain.links import UnlinkedReason
from costlens.services.reports import AI_STATES
from costlens.store.pull_lists import PULL_SORTS
from costlens.web.histogram import Bars
from costlens.web.ui.filter_bar import Bar
from costlens.web.ui.filters import Dates, a_text, an_id, one_of, rising
from costlens.web.ui.nav import Nav


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilters(Dates):
    """Which runs; None: all."""

    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None  # 0: naming no repository
    provider: Annotated[str | None, a_text] = None
    model: Annotated[str | None, a_text] = None
    environment: Annotated[str | None, a_text] = None  # none: naming no environment
    tool: Annotated[str | None, a_text] = None  # none: naming no tool
    prompt: Annotated[str | None, a_text] = None  # none: naming no prompt
    result: Annotated[str | None, one_of(("succeeded", "failed"))] = None
    state: Annotated[str | None, one_of(("counted", "suggested", "pending", "unlinked", "not_code", "code"))] = None
    reason: Annotated[str | None, one_of([reason.value for reason in UnlinkedReason])] = None
    price: Annotated[str | None, one_of(("known", "none"))] = None
    session: Annotated[str | None, a_text] = None
    pull: Annotated[int | None, an_id] = None  # those counted for it in its whole life, whatever the period
    ascending: Annotated[bool, rising] = False  # oldest first
    cursor: Annotated[str | None, a_text] = None  # None: the first page


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFilters(Dates):
    """Which pull requests, and whose runs count; None: all."""

    team: Annotated[int | None, an_id] = None  # 0: of no team
    repository: Annotated[int | None, an_id] = None
    provider: Annotated[str | None, a_text] = None
    outcome: Annotated[str | None, one_of(("merged", "open", "abandoned", "reverted", "closed"))] = None
    ai: Annotated[str | None, one_of(AI_STATES)] = None  # None: those with counted runs
    sort: Annotated[str, one_of(PULL_SORTS)] = "ended"
    ascending: Annotated[bool, rising] = False
    cursor: Annotated[str | None, a_text] = None  # None: the first page


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
    rows: tuple[RunRow, ...]  # newest first, or as `ascending` says
    total_runs: int  # under the filters, on all pages
    total_cost: int  # nano-dollars, on all pages
    unpriced_runs: int
    bar: Bar
    started: bool = True  # the organization has runs at all
    next_url: str | None = None  # None: the last page
    first_url: str | None = None  # None: this is the first page
    turned_url: str = ""  # the other way round by time
    file_url: str = ""  # of which `format` makes a file
    ascending: bool = False  # oldest first
    bars: tuple[Bars, ...] = ()  # runs and cost over the period. Empty: it has no period


@dataclass(frozen=True, slots=True)
class TokenLine:
    """One class of tokens in a run's price."""

    name: str
    tokens: int
    rate: str | None  # dollars for a million tokens, or once a run, with all digits. None: no price
    cost: int | None  # nano-dollars. None: no price


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One link of a run with its reason in a sentence."""

    target: str
    url: str | None
    state: str  # counted, suggested, rejected
    sentence: str  # ends with rule and confidence
    confidence: int  # permille
    number: int | None = None  # of the pull request. None: a commit
    repository: str | None = None  # as number


@dataclass(frozen=True, slots=True)
class RunDetail:
    run: RunRow
    lines: tuple[TokenLine, ...]
    price_facts: tuple[tuple[str, str], ...]  # source, version, tier, … as label and text
    facts: tuple[tuple[str, str], ...]  # key, session, branch, commit, … as label and text
    evidence: tuple[EvidenceLine, ...]
    unlinked_reason: str | None  # None unless the state is unlinked
    raw: str  # the run as the API gives it, indented JSON
    code: bool = True
    being_linked: bool = False  # the linker has not seen it since it last changed
    decisions: tuple[str, ...] = ()  # what people said of it, a sentence each
    price_total: int | None = None  # what the lines add up to, in nano-dollars. None: no price is known
    note: str | None = None  # why that is not the run's cost, or what is estimated. None: nothing to say
    input_tokens: int = 0
    cached_tokens: int = 0  # of the input, read from a cache
    without_cache: int | None = None  # the same tokens at the full price of input. None: no price is known
    quality: str = ""  # how the tokens are known
    price_url: str | None = None  # where its model's price is set. None: who looks may not
    before: tuple[str, str] | None = None  # id and model of the run before in its session. None: there is none
    after: tuple[str, str] | None = None  # and of the one after
    session_url: str | None = None  # all runs of its session. None: it names none


@dataclass(frozen=True, slots=True)
class PullRow:
    number: int
    title: str
    repository: str
    url: str | None  # its page. None: it has none
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
    total_runs: int  # on all pages
    total_cost: int  # nano-dollars, on all pages
    any_known: bool  # the organization has pull requests at all
    bar: Bar
    next_url: str | None = None  # None: the last page
    sort: str = "ended"
    ascending: bool = False
    sort_urls: Mapping[str, str] = field(default_factory=dict)  # by column: the list by it, or the other way round
    file_urls: Mapping[str, str] = field(default_factory=dict)  # by format: the list as a file


def render_runs(page: RunsPage, nav: Nav, *, now: datetime | None = None) -> str:
    """The HTML of the list of runs; `now` is aware."""
    return render_template("runs/list.html", nav=nav, page="runs", list=page, now=now or datetime.now(UTC))


def render_run(detail: RunDetail, nav: Nav) -> str:
    """The HTML of one run: why it costs what it does, and what it is linked to."""
    return render_template("runs/run.html", nav=nav, page="runs", detail=detail, run=detail.run)


def render_pulls(page: PullsPage, nav: Nav, *, now: datetime | None = None) -> str:
    """The HTML of the list of pull requests with counted runs; `now` is aware."""
    return render_template("pulls/list.html", nav=nav, page="pulls", list=page, now=now or datetime.now(UTC))
