"""What the pages of prompts and models read: sums over the rollups, and where the runs of prompts ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from costlens.store import tables as t
from costlens.store.analytics import Amounts, Where, amount_columns, day_conditions, model_conditions
from costlens.store.engine import Tx
from costlens.store.types import one_of


@dataclass(frozen=True, slots=True)
class TokenSums:
    """What a sum of runs holds, token class by token class."""

    runs: int
    succeeded: int
    priced_runs: int
    exact_runs: int
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output_text: int
    output_reasoning: int
    cost_nanos: int
    latency_ms: int  # summed over timed_runs
    timed_runs: int

    @property
    def input_tokens(self) -> int:
        """All input, cached or not."""
        return self.input_uncached + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_text + self.output_reasoning


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSums(TokenSums):
    """A period's runs of one provider's model."""

    provider: str
    model: str


def sum_of(rows: Sequence[TokenSums]) -> TokenSums:
    """All rows together; zeros for none."""
    return TokenSums(*(sum(getattr(row, each.name) for row in rows) for each in fields(TokenSums)))


def sums_of_models(
    tx: Tx,
    organization_id: int,
    first: date,
    last: date,
    spans: Sequence[tuple[datetime, datetime, timedelta]],
    where: Where,
) -> list[ModelSums]:
    """Sums by provider and model over days of the organization's own zone; `spans` are the same days in UTC.

    The quarter hours know no more than provider and model, but are far fewer rows than those of days.
    """
    if where == Where(provider=where.provider, model=where.model):
        table: Any = t.rollup_15m
        conditions = [table.c.bucket >= spans[0][0], table.c.bucket < spans[-1][1], *model_conditions(table.c, where)]
    else:
        table = t.rollup_day
        conditions = [table.c.day >= first, table.c.day <= last, *day_conditions(table.c, where)]
    measures = [func.sum(table.c[each.name]) for each in fields(TokenSums)]
    query = (
        select(table.c.provider, table.c.model, *measures)
        .where(table.c.organization_id == organization_id, *conditions)
        .group_by(table.c.provider, table.c.model)
    )
    found = (ModelSums(*map(int, row[2:]), provider=row[0], model=row[1]) for row in tx.execute(query))
    return [one for one in found if one.runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptModelSums(Amounts):
    """A period's runs of one prompt on one model."""

    prompt_id: str
    model: str


def sums_of_prompts(
    tx: Tx, organization_id: int, prompt_ids: Sequence[str], first: date, last: date, where: Where
) -> list[PromptModelSums]:
    """Sums of these prompts by model, over days of the organization's own zone."""
    r = t.rollup_day.c
    query = (
        select(r.prompt_id, r.model, *amount_columns(t.rollup_day))
        .where(r.organization_id == organization_id, r.day >= first, r.day <= last, one_of(r.prompt_id, prompt_ids))
        .where(*day_conditions(r, where))
        .group_by(r.prompt_id, r.model)
    )
    found = (PromptModelSums(*map(int, row[2:]), prompt_id=row[0], model=row[1]) for row in tx.execute(query))
    return [one for one in found if one.runs]


@dataclass(frozen=True, slots=True)
class Shipped:
    """What runs of a prompt were counted for, by outcome."""

    outcome: str  # merged, open, abandoned, reverted, direct (a commit outside any pull request)
    pulls: int
    cost_nanos: int


def shipped_by_prompt(
    tx: Tx, organization_id: int, prompt_ids: Sequence[str], since: datetime, until: datetime, where: Where
) -> dict[str | None, list[Shipped]]:
    """Pull requests and counted cost of runs of these prompts; under None those of all together.

    A pull request that counts runs of two versions is one of each, and one of all.
    """
    found: dict[str | None, list[Shipped]] = {}
    for row in tx.execute(_shipped(organization_id, prompt_ids, since, until, where, by_prompt=True)):
        found.setdefault(row.prompt_id, []).append(Shipped(row.outcome, row.pulls, int(row.cost)))
    if len(prompt_ids) == 1:
        return {**found, None: found.get(prompt_ids[0], [])}
    every = tx.execute(_shipped(organization_id, prompt_ids, since, until, where, by_prompt=False))
    return {**found, None: [Shipped(row.outcome, row.pulls, int(row.cost)) for row in every]}


def _shipped(
    organization_id: int,
    prompt_ids: Sequence[str],
    since: datetime,
    until: datetime,
    where: Where,
    *,
    by_prompt: bool,
) -> Select[Any]:
    run, link, pull = t.runs.c, t.links.c, t.pull_requests.c
    outcome = func.coalesce(pull.outcome, "direct").label("outcome")
    groups = [run.prompt_id, outcome] if by_prompt else [outcome]
    pairs = (
        (run.provider, where.provider),
        (run.model, where.model),
        (run.tool, where.tool),
        (run.environment, where.environment),
    )
    # '' and 0 stand for runs that name none.
    narrow = [column == value if value else column.is_(None) for column, value in pairs if value is not None]
    ids = ((run.team_id, where.team_id), (run.repository_id, where.repository_id))
    narrow += [column == value if value else column.is_(None) for column, value in ids if value is not None]
    return (
        select(
            *groups,
            func.count(link.pull_request_id.distinct()).label("pulls"),
            func.sum(link.cost_nanos).label("cost"),
        )
        .select_from(t.runs)
        .join(t.links, (link.organization_id == run.organization_id) & (link.run_id == run.id))
        .outerjoin(t.pull_requests, pull.id == link.pull_request_id)
        # The list in the statement itself: of one in a parameter SQLite expects too much, and goes by time instead.
        .where(run.organization_id == organization_id, run.prompt_id.in_(prompt_ids), run.prompt_id.is_not(None))
        .where(run.linked_at.is_not(None), run.occurred_at >= since, run.occurred_at < until, *narrow)
        .where(link.state == "counted", link.valid_to.is_(None))
        .group_by(*groups)
    )
