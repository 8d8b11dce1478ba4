"""What the pages of prompts and models read: sums over the rollups, and where the runs of prompts ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, select

from costlens.store import tables as t
from costlens.store.analytics import Amounts, Where, amount_columns, days_where, narrowed_by, values_of
from costlens.store.engine import Tx
from costlens.store.rollups import narrowed, provider_and_model
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
    where: Where,
) -> list[ModelSums]:
    """Sums by provider and model over days of the organization's own zone, both included.

    Of all runs, or those of one team, repository, tool or environment, from narrow sums; else from the daily rollup.
    """
    others = replace(where, provider=None, model=None)
    dimension = "call" if others == Where() else narrowed_by("call", others)
    if dimension is not None:
        d = t.rollup_dimension.c
        query = (
            select(d.value, *(func.sum(d[each.name]) for each in fields(TokenSums)))
            .where(d.organization_id == organization_id, d.dimension == dimension, d.day >= first, d.day <= last)
            .where(d.value.in_(select(values_of(organization_id, dimension).c.value)))
            .group_by(d.value)
        )
        rows = [(*provider_and_model(row[0]), *row[1:]) for row in tx.execute(query)]
        asked = (where.provider, where.model)
        rows = [row for row in rows if all(want in (None, one) for want, one in zip(asked, row[:2], strict=True))]
    else:
        r = t.rollup_day.c
        query = (
            select(r.provider, r.model, *(func.sum(r[each.name]) for each in fields(TokenSums)))
            .where(r.organization_id == organization_id, *days_where(r, first, last, where))
            .group_by(r.provider, r.model)
        )
        rows = [tuple(row) for row in tx.execute(query)]
    found = (ModelSums(*map(int, row[2:]), provider=row[0], model=row[1]) for row in rows)
    return [one for one in found if one.runs]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptModelSums(Amounts):
    """A period's runs of one prompt on one model."""

    prompt_id: str
    model: str


def sums_of_prompts(
    tx: Tx,
    organization_id: int,
    prompt_ids: Sequence[str],
    calls: Sequence[tuple[str, str]],
    first: date,
    last: date,
    where: Where,
) -> list[PromptModelSums]:
    """Sums of these prompts by model, over days of the organization's own zone, both included.

    `calls` are all providers and models of these days.
    """
    if where == Where(provider=where.provider, model=where.model):
        asked = [call for call in calls if where.provider in (None, call[0]) and where.model in (None, call[1])]
        some = {model for _, model in asked}
        # The narrow sums are by model alone, which is enough while no other provider has one of the same name.
        if where.provider is None or not any(model in some for provider, model in calls if provider != where.provider):
            return _sums_of_prompts(tx, organization_id, prompt_ids, sorted(some), first, last)
    r = t.rollup_day.c
    query = (
        select(r.prompt_id, r.model, *amount_columns(t.rollup_day))
        .where(r.organization_id == organization_id, *days_where(r, first, last, where))
        .where(one_of(r.prompt_id, prompt_ids))
        .group_by(r.prompt_id, r.model)
    )
    found = (PromptModelSums(*map(int, row[2:]), prompt_id=row[0], model=row[1]) for row in tx.execute(query))
    return [one for one in found if one.runs]


def _sums_of_prompts(
    tx: Tx, organization_id: int, prompt_ids: Sequence[str], models: Sequence[str], first: date, last: date
) -> list[PromptModelSums]:
    """The same of these models, from narrow sums."""
    named = {narrowed("prompt", "model", each): each for each in models}
    d = t.rollup_dimension.c
    query = (
        select(d.value, d.dimension, *amount_columns(t.rollup_dimension))
        .where(d.organization_id == organization_id, d.day >= first, d.day <= last)
        .where(one_of(d.dimension, named), one_of(d.value, prompt_ids))
        .group_by(d.dimension, d.value)
    )
    rows = ((row[0], named[row[1]], *map(int, row[2:])) for row in tx.execute(query))
    found = (PromptModelSums(*row[2:], prompt_id=row[0], model=row[1]) for row in rows)
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
