"""Sums of one person, repository or team become another's: two were found to be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, select

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.pull_outcomes import Outcomes, outcomes_of
from costlens.store.rollups import KEYS, LINK_MEASURES, PULL_MEASURES, Groups, add_groups, narrowed


def move_sums(tx: Tx, organization_id: int, dimension: str, *, keep: int, drop: int) -> None:
    """Gives the sums of one person, repository or team to another."""
    column = t.DIMENSIONS[dimension]
    pulls = t.rollup_pulls.c
    outcomes: Outcomes = {}
    if column in pulls:
        # First, as who changes the outcome of one of them moves its sums.
        theirs = select(pulls.pull_request_id).where(pulls.organization_id == organization_id, pulls[column] == drop)
        outcomes = outcomes_of(tx, organization_id, tx.scalars(theirs.distinct()), hold=True)
    for table, measures in (
        (t.rollup_day, t.MEASURES),
        (t.rollup_links, LINK_MEASURES),
        (t.rollup_spend, t.SPEND_MEASURES),
        (t.rollup_pulls, PULL_MEASURES),
        (t.rollup_runs, LINK_MEASURES),
    ):
        if column in table.c:
            _move(tx, organization_id, table, measures, table.c[column] == drop, {column: keep}, outcomes)
    table = t.rollup_dimension
    names = [dimension]
    if dimension == "person":
        d = table.c
        mine = (d.organization_id == organization_id, d.dimension == "provider")
        providers = tx.scalars(select(d.value).where(*mine).distinct())
        names += ["contributor", *(narrowed("contributor", "provider", each) for each in providers)]
    of_one = and_(table.c.dimension.in_(names), table.c.value == str(drop))
    _move(tx, organization_id, table, t.MEASURES, of_one, {"value": str(keep)}, outcomes)
    for other, by in t.NARROWED.items():
        if dimension in by:
            of_one = table.c.dimension == narrowed(other, dimension, drop)
            to = {"dimension": narrowed(other, dimension, keep)}
            _move(tx, organization_id, table, t.MEASURES, of_one, to, outcomes)


def _move(
    tx: Tx,
    organization_id: int,
    table: Table,
    measures: tuple[str, ...],
    where: ColumnElement[bool],
    to: Mapping[str, Any],
    outcomes: Outcomes,
) -> None:
    mine = and_(table.c.organization_id == organization_id, where)
    keys = KEYS[table][1:]  # without the organization
    taken = tx.execute(table.delete().where(mine).returning(*table.c)).mappings()
    groups: Groups = {
        tuple(to.get(name, row[name]) for name in keys): tuple(row[name] for name in measures) for row in taken
    }
    add_groups(tx, organization_id, table, measures, groups, outcomes)
