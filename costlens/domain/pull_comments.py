"""The comment on a pull request: when it is written or edited, and what it says.

All who read the repository read it, in a public one everybody. So it names models, sums and kinds of evidence, and no
person, no prompt, no branch and no title.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from costlens.domain.roi import FEW_PULL_REQUESTS, NANOS_PER_CENT
from costlens.domain.written import money, number, number_of, percent

EDIT_EVERY = timedelta(hours=1)  # at most, as long as the outcome stays
KEPT_UP = timedelta(days=30)  # after a pull request was closed its comment stays as it is
MODELS = 8  # shown; the others are one row
NAME = 60  # characters of a model's name

_KINDS: Mapping[str, tuple[str, ...]] = {
    "confirmed by a person": ("M1",),
    "named by the run, the commit or the pull request": ("X1", "X2", "X3"),
    "by the session that the commit names": ("S1", "S2"),
    "by the branch": ("B1", "B3"),
}
_INFERRED = "estimated from session, files and time"
_OUTCOMES = {"merged": "merged", "abandoned": "closed unmerged", "reverted": "merged and reverted later"}


@dataclass(frozen=True, slots=True)
class Said:
    """The figures of a pull request that tell whether its comment is out of date."""

    outcome: str  # open, merged, abandoned, reverted
    runs: int  # counted; of a run that is split the ledger may count it elsewhere
    cost: int  # nano-dollars

    @property
    def some(self) -> bool:
        """Whether any run counts."""
        return self.runs > 0 or self.cost > 0


@dataclass(frozen=True, slots=True)
class ModelSum:
    model: str
    runs: int
    priced: int  # of the runs
    cost: int  # nano-dollars


@dataclass(frozen=True, slots=True)
class CommentFacts:
    """All that the comment says."""

    said: Said
    models: Sequence[ModelSum]  # dearest first
    unpriced: int  # runs without a known price
    guessed: int  # runs whose tokens or their split are estimated
    cached_share: float | None  # of the input tokens. None: no input
    percentile: int | None  # among the repository's merged pull requests. None: too few
    among: int  # pull requests that the percentile is of
    rules: Mapping[str, int]  # runs by the rule of their link
    url: str  # of the pull request's page


def marker(home: str) -> str:
    """The first line of the organization's comments, which GitHub does not show: they are found again by it.

    `home` is the address of the organization's pages: another server may have an organization of the same name.
    """
    return f"<!-- costlens: AI cost of this pull request, by {home} -->"


def out_of_date(before: Said | None, now: Said) -> bool:
    """Whether a comment that says `before` (none: there is none yet) should be written.

    News are a first run, another outcome, a tenth and a cent of the cost, half of the runs, and that all runs are gone.
    """
    if before is None:
        return now.some
    if before.outcome != now.outcome or before.some != now.some:
        return True
    change = abs(now.cost - before.cost)
    return (change >= NANOS_PER_CENT and 10 * change >= before.cost) or 2 * abs(
        now.runs - before.runs
    ) >= before.runs > 0


def edit_at(before: Said | None, now: Said, written_at: datetime | None, at: datetime) -> datetime | None:
    """When a comment should be written. None: what it says is near enough."""
    if not out_of_date(before, now):
        return None
    if before is None or written_at is None or before.outcome != now.outcome:
        return at
    return max(at, written_at + EDIT_EVERY)


def comment_text(facts: CommentFacts, home: str) -> str:
    """The comment in Markdown. The same facts give the same text, so it tells no time."""
    said = facts.said
    if not said.runs:
        body = ["No AI runs are linked to this pull request any more."]
    else:
        state = _OUTCOMES.get(said.outcome)
        head = f"**AI cost of this pull request: {_cost(facts)}** in {number_of(said.runs, 'run')}"
        body = [f"{head}{f', {state}' if state else ' so far'}", "", *_table(facts.models), "", *_points(facts)]
    return "\n".join([marker(home), *body, "", f"[What it is made of]({facts.url}) (members only)"])


def _cost(facts: CommentFacts) -> str:
    return "unknown" if facts.unpriced == facts.said.runs else money(facts.said.cost)


def _table(models: Sequence[ModelSum]) -> list[str]:
    rows = ["| Model | Runs | Cost |", "|---|--:|--:|"]
    shown, rest = (models, ()) if len(models) <= MODELS else (models[: MODELS - 1], models[MODELS - 1 :])
    for one in shown:
        cost = money(one.cost) if one.priced else "unknown"
        rows.append(f"| `{_plain(one.model)}` | {number(one.runs)} | {cost} |")
    if rest:
        cost = money(sum(one.cost for one in rest)) if any(one.priced for one in rest) else "unknown"
        rows.append(f"| {len(rest)} others | {number(sum(one.runs for one in rest))} | {cost} |")
    return rows


def _points(facts: CommentFacts) -> list[str]:
    points = []
    if facts.cached_share is not None:
        points.append(f"{percent(facts.cached_share)} of the input tokens came from a cache")
    if facts.percentile is not None:
        other = "" if facts.said.outcome == "open" else " up to this one"
        points.append(
            f"It costs more than {facts.percentile} % of the {number(facts.among)} pull requests with AI cost"
            f" that were merged here in 91 days{other}"
        )
    else:
        points.append(f"Fewer than {FEW_PULL_REQUESTS} pull requests with AI cost were merged here to compare it with")
    points.append(f"Linked: {', '.join(_evidence(facts.rules))}")
    if facts.unpriced:
        points.append(f"{number_of(facts.unpriced, 'run')} without a known price, not in the cost")
    if facts.guessed:
        points.append(f"{number_of(facts.guessed, 'run')} with estimated token counts")
    return [f"- {point}" for point in points]


def _evidence(rules: Mapping[str, int]) -> list[str]:
    """Runs by kind of evidence, the surest first."""
    found = {words: sum(rules.get(rule, 0) for rule in names) for words, names in _KINDS.items()}
    found[_INFERRED] = sum(rules.values()) - sum(found.values())
    return [f"{number_of(runs, 'run')} {words}" for words, runs in found.items() if runs]


def _plain(name: str) -> str:
    """A name that comes from a caller, as it may stand in a table: no Markdown, no mention, no line."""
    return re.sub(r"[^\w.:/+@ -]", "?", name, flags=re.ASCII)[:NAME].strip() or "?"
