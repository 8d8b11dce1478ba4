"""Ordinary cost analytics: plain sums over the rollups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, exists, func, literal, select, type_coerce, union_all

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.identity import CHUNK
from costlens.store.rollups import narrowed
from costlens.store.types import EPOCH, one_of

_DAY = 86_400_000
_SUMS = ("runs", "succeeded", "priced_runs", "exact_runs", "cost_nanos", "latency_ms", "timed_runs")


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a sum of runs holds."""

    runs: int
    succeeded: int
    priced_runs: int
    exact_runs: int
    cost_nanos: int
    latency_ms: int  # summed over timed_runs
    timed_runs: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums(Amounts):
    """One day of one provider's model."""

    day: date
    provider: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSums(Amounts):
    """A whole period of one team, person, model, …"""

    value: str  # a name, or an id in digits; '': none


@dataclass(frozen=True, slots=True)
class Where:
    """What to sum; None: any."""

    provider: str | None = None
    model: str | None = None
    team_id: int | None = None  # 0: no team
    repository_id: int | None = None  # 0: no repository
    prompt_id: str | None = None  # '': none
    person_id: int | None = None
    environment: str | None = None  # '': none
    tool: str | None = None  # '': none


def amount_columns(table: Any) -> list[ColumnElement[Any]]:
    """What Amounts holds, summed over a rollup."""
    tokens = sum((table.c[name] for name in t.USAGE_COLUMNS[1:]), start=table.c[t.USAGE_COLUMNS[0]])
    return [
        *(func.sum(table.c[name]).label(name) for name in _SUMS),
        func.sum(tokens).label("tokens"),
    ]


def sums_of_quarters(
    tx: Tx, organization_id: int, spans: Sequence[tuple[datetime, datetime, timedelta]], where: Where
) -> list[Sums]:
    """Sums by local day, provider and model from the quarter-hour rollup.

    `spans` are the parts of the period with one offset from UTC each, so that days are cut right on both sides of a
    clock change.
    """
    r = t.rollup_15m.c
    found: list[Sums] = []
    for start, end, offset in spans:
        local = type_coerce(r.bucket, BigInteger) + literal(offset // timedelta(milliseconds=1), BigInteger)
        day = (local // _DAY).label("day")
        query = (
            select(day, r.provider, r.model, *amount_columns(t.rollup_15m))
            .where(r.organization_id == organization_id, r.bucket >= start, r.bucket < end, *model_conditions(r, where))
            .group_by(day, r.provider, r.model)
        )
        found += [_sums(row, EPOCH.date() + timedelta(days=row.day)) for row in tx.execute(query)]
    return found


def sums_of_days(tx: Tx, organization_id: int, first: date, last: date, where: Where) -> list[Sums]:
    """Sums by day (of the organization's own zone), provider and model from the daily rollup, both days included."""
    r = t.rollup_day.c
    query = (
        select(r.day, r.provider, r.model, *amount_columns(t.rollup_day))
        .where(r.organization_id == organization_id, *days_where(r, first, last, where))
        .group_by(r.day, r.provider, r.model)
    )
    return [_sums(row, row.day) for row in tx.execute(query)]


def sums_of_providers(tx: Tx, organization_id: int, first: date, last: date) -> list[Sums]:
    """Sums by day of the organization's own zone and provider, of all models: far fewer rows than the others read."""
    r = t.rollup_dimension.c
    query = (
        select(r.day, r.value.label("provider"), literal("").label("model"), *amount_columns(t.rollup_dimension))
        .where(r.organization_id == organization_id, r.dimension == "provider", r.day >= first, r.day <= last)
        .group_by(r.value, r.day)
    )
    return [_sums(row, row.day) for row in tx.execute(query)]


def sums_by_dimension(tx: Tx, organization_id: int, dimension: str, first: date, last: date) -> list[GroupSums]:
    """Sums by the values of one of DIMENSIONS over days of the organization's own zone, both included."""
    return [_group(row) for row in tx.execute(_by_value(organization_id, dimension, first, last))]


def _by_value(organization_id: int, dimension: str, first: date, last: date) -> Select[Any]:
    """Of the values one by one, since by the primary key a value's days stand together: other days are not read."""
    r = t.rollup_dimension.c
    return (
        select(r.value, *amount_columns(t.rollup_dimension))
        .where(r.organization_id == organization_id, r.dimension == dimension, r.day >= first, r.day <= last)
        .where(r.value.in_(select(values_of(organization_id, dimension).c.value)))
        .group_by(r.value)
    )


def values_of(organization_id: int, dimension: str) -> Any:
    """All values of a dimension, whatever their days, and null at the end: a recursive query with one column, value.

    Each is looked up behind the one before it, so it costs as many steps as there are values, not rows.
    """
    r = t.rollup_dimension.c
    least = select(func.min(r.value).label("value")).where(
        r.organization_id == organization_id, r.dimension == dimension
    )
    found = least.cte(f"values_of_{dimension}" if dimension.isalpha() else "values_of_some", recursive=True)
    following = least.where(r.value > found.c.value).scalar_subquery()
    return found.union_all(select(following).where(found.c.value.is_not(None)))


def sums_by_dimension_where(
    tx: Tx, organization_id: int, dimension: str, first: date, last: date, where: Where
) -> list[GroupSums]:
    """The same of some runs only; mostly from the daily rollup, which has almost a row a run: slower."""
    name = narrowed_by(dimension, where)
    if name is not None:
        return sums_by_dimension(tx, organization_id, name, first, last)
    r = t.rollup_day.c
    column = r[t.DIMENSIONS[dimension]]
    query = (
        select(column.label("value"), *amount_columns(t.rollup_day))
        .where(r.organization_id == organization_id, *days_where(r, first, last, where))
        .group_by(column)
    )
    return [_group(row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class PersonSums:
    """A period's runs of one person with the same model, repository and prompt."""

    model: str
    repository_id: int  # 0: none
    prompt_id: str  # '': none
    runs: int
    cost_nanos: int


def sums_of_person(tx: Tx, organization_id: int, person_id: int, days: Sequence[date]) -> list[PersonSums]:
    """All runs of one person on these days of the organization's own zone; `days` need only hold those with runs.

    The daily rollup's key goes by day, team and person: with each day and team named, only this person's rows are read.
    """
    r = t.rollup_day.c
    if not days:
        return []
    teams = [int(value or 0) for value in names_in(tx, organization_id, "team", min(days), max(days))]
    query = (
        select(r.model, r.repository_id, r.prompt_id, func.sum(r.runs), func.sum(r.cost_nanos))
        .where(r.organization_id == organization_id, one_of(r.day, days), one_of(r.team_id, teams))
        .where(r.person_id == person_id)
        .group_by(r.model, r.repository_id, r.prompt_id)
    )
    return [PersonSums(*row[:3], int(row[3]), int(row[4])) for row in tx.execute(query)]


def days_of_person(tx: Tx, organization_id: int, person_id: int, first: date, last: date) -> list[Sums]:
    """Sums of each day on which one person had runs, both included; of all providers and models together."""
    rows = tx.execute(_days_of_person(organization_id, person_id, first, last))
    return [Sums(*map(int, row[1:]), day=row.day, provider="", model="") for row in rows]


def _days_of_person(organization_id: int, person_id: int, first: date, last: date) -> Select[Any]:
    d = t.rollup_dimension.c
    return (
        select(d.day, *amount_columns(t.rollup_dimension))
        .where(d.organization_id == organization_id, d.dimension == "person", d.value == str(person_id))
        .where(d.day >= first, d.day <= last)
        .group_by(d.day)
    )


def narrowed_by(dimension: str, where: Where) -> str | None:
    """The name of a dimension of NARROWED that holds just these runs. None: there is none."""
    asked = [each.name for each in fields(where) if getattr(where, each.name) is not None]
    names = [name for name in t.NARROWED.get(dimension, ()) if [t.DIMENSIONS[name]] == asked]
    return narrowed(dimension, names[0], getattr(where, asked[0])) if names else None


def _group(row: Sequence[Any]) -> GroupSums:
    return GroupSums(*map(int, row[1:]), value=str(row[0] or ""))


def names_of(tx: Tx, organization_id: int, dimension: str, ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """(what filters call it, what people call it) of teams, repositories or people; those that are gone are absent.

    A person is called by name, else by e-mail address, login or GitHub's number.
    """
    found: dict[int, tuple[str, str | None]] = {}
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        for row in tx.execute(_names_query(organization_id, dimension, chunk)):
            found.setdefault(row.id, (str(row.key), row.name))
    return found


def _names_query(organization_id: int, dimension: str, ids: Sequence[int]) -> Select[Any]:
    if dimension == "person":
        person, identity = t.people.c, t.identities.c
        best = case({"email": 0, "login": 1}, value=identity.kind, else_=2)
        return (
            select(person.id, person.id.label("key"), func.coalesce(person.name, identity.value).label("name"))
            .outerjoin(t.identities, identity.person_id == person.id)
            .where(person.organization_id == organization_id, person.id.in_(ids))
            .order_by(person.id, best, identity.value)
        )
    table, key = (t.teams, t.teams.c.slug) if dimension == "team" else (t.repositories, t.repositories.c.name)
    return select(table.c.id, key.label("key"), table.c.name).where(
        table.c.organization_id == organization_id, table.c.id.in_(ids)
    )


def days_where(columns: Any, first: date, last: date, where: Where) -> list[ColumnElement[bool]]:
    """Which rows of the daily rollup, days included.

    Its key goes by day and team: with each day named, SQLite reads the rows of the team alone.
    """
    if where.team_id is None:
        days = [columns.day >= first, columns.day <= last]
    else:
        days = [one_of(columns.day, [first + timedelta(days=n) for n in range((last - first).days + 1)])]
    return days + day_conditions(columns, where)


def day_conditions(columns: Any, where: Where) -> list[ColumnElement[bool]]:
    """Which rows of the daily rollup, which knows every filter."""
    found = model_conditions(columns, where)
    pairs = (
        (columns.team_id, where.team_id),
        (columns.repository_id, where.repository_id),
        (columns.prompt_id, where.prompt_id),
        (columns.person_id, where.person_id),
        (columns.environment, where.environment),
        (columns.tool, where.tool),
    )
    return found + [column == value for column, value in pairs if value is not None]


def model_conditions(columns: Any, where: Where) -> list[ColumnElement[bool]]:
    """The part of the filters that every rollup of usage knows."""
    pairs = ((columns.provider, where.provider), (columns.model, where.model))
    return [column == value for column, value in pairs if value is not None]


def _sums(row: Sequence[Any], day: date) -> Sums:
    return Sums(*map(int, row[3:]), day=day, provider=row[1], model=row[2])


def data_through(tx: Tx, organization_id: int) -> datetime | None:
    """Start of the last quarter hour that holds a run. None: no runs."""
    r = t.rollup_15m.c
    found: datetime | None = tx.scalar(select(func.max(r.bucket)).where(r.organization_id == organization_id))
    return found


def input_share(tx: Tx, organization_id: int, provider: str, model: str) -> float | None:
    """Share of input in the tokens of one model, 0 to 1, over quarter hours in which all its usage was exact.

    None: there are none.
    """
    r = t.rollup_15m.c
    inputs = r.input_uncached + r.cache_read + r.cache_write_5m + r.cache_write_1h
    row = tx.execute(
        select(func.sum(inputs), func.sum(inputs + r.output_text + r.output_reasoning)).where(
            r.organization_id == organization_id,
            r.provider == provider,
            r.model == model,
            r.exact_runs == r.runs,
        )
    ).one()
    return float(row[0]) / float(row[1]) if row[1] else None


def providers(tx: Tx, organization_id: int) -> list[str]:
    """Every provider that runs have named."""
    found = values_of(organization_id, "provider").c.value
    return list(tx.scalars(select(found).where(found.is_not(None)).order_by(found)))


def names_in(tx: Tx, organization_id: int, dimension: str, first: date, last: date) -> list[str]:
    """The values of one of DIMENSIONS that runs of these days have, both included; '' for runs that name none."""
    return names_in_several(tx, organization_id, [dimension], first, last)[dimension]


def names_in_several(
    tx: Tx, organization_id: int, dimensions: Sequence[str], first: date, last: date
) -> dict[str, list[str]]:
    """The same of several dimensions in one statement."""
    parts = []
    for dimension in dimensions:
        r, value = t.rollup_dimension.alias().c, values_of(organization_id, dimension).c.value
        here = exists().where(
            r.organization_id == organization_id,
            r.dimension == dimension,
            r.value == value,
            r.day >= first,
            r.day <= last,
        )
        parts.append(select(literal(dimension).label("dimension"), value).where(value.is_not(None), here))
    query = parts[0] if len(parts) == 1 else union_all(*parts)
    found: dict[str, list[str]] = {dimension: [] for dimension in dimensions}
    for dimension, value in tx.execute(query):
        found[dimension].append(value)
    return {dimension: sorted(values) for dimension, values in found.items()}


def linked_cost(tx: Tx, organization_id: int, first: date, last: date, where: Where) -> tuple[int, int] | None:
    """(counted cost, code cost) of a period of whole local days, for the coverage beside analytics.

    None where a filter asks for what the ledger does not know: it keeps team, repository and provider.
    """
    if where != Where(provider=where.provider, team_id=where.team_id, repository_id=where.repository_id):
        return None
    if where == Where():
        d = t.rollup_dimension.c
        query = (
            select(d.value, func.sum(d.cost_nanos))
            .where(d.organization_id == organization_id, d.dimension == "state", d.day >= first, d.day <= last)
            .where(d.value != "not_code")
            .group_by(d.value)
        )
    else:
        r = t.rollup_links.c
        narrow = [r.provider == where.provider] if where.provider else []
        if where.team_id is not None:
            narrow.append(r.team_id == where.team_id)
        if where.repository_id is not None:
            narrow.append(r.repository_id == where.repository_id)
        query = (
            select(r.state, func.sum(r.cost_nanos))
            .where(r.organization_id == organization_id, r.day >= first, r.day <= last, r.state != "not_code", *narrow)
            .group_by(r.state)
        )
    by_state = {row[0]: int(row[1]) for row in tx.execute(query)}
    return by_state.get("counted", 0), sum(by_state.values())
