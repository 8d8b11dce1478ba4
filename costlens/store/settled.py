"""Sums that follow pull requests: what is linked to one moves when it is merged, closed, reverted or removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import BigInteger, ColumnElement, bindparam, cast, func, literal_column, select, update

from costlens.domain.links import LinkState
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.pull_outcomes import Became, facts_of, outcomes_of
from costlens.store.rollups import LINK_MEASURES, Groups, add_groups, moved
from costlens.store.types import one_of


def settle_sums(tx: Tx, organization_id: int, before: Mapping[int, Became], ids: Collection[int]) -> None:
    """Moves the sums of pull requests that this transaction has changed or removed from what they were `before`.

    `before` was read to change them (`outcomes_of`), and `ids` are the same or more.
    """
    if not ids:
        return
    after = outcomes_of(tx, organization_id, ids)
    other = [id for id in ids if before.get(id) != after.get(id)]
    if not other:
        return
    elsewhere = [id for id in other if _outcome(before, id) != _outcome(after, id)]
    if elsewhere:
        groups = moved(_links_of(tx, organization_id, elsewhere), before, after)
        add_groups(tx, organization_id, t.rollup_spend, t.SPEND_MEASURES, groups, after)
    u = t.rollup_pulls.c
    cuts: list[ColumnElement[str]] = [
        literal_column(f"'{cut}'") for cut in t.PULL_CUTS
    ]  # a list of parameters would not go with many rows
    facts = update(t.rollup_pulls).where(
        u.organization_id == organization_id, u.cut.in_(cuts), u.pull_request_id == bindparam("pull")
    )
    rows = [
        {"pull": id, **{f"new_{name}": value for name, value in zip(t.PULL_FACTS, facts_of(after, id), strict=True)}}
        for id in sorted(other)
    ]
    tx.execute(facts.values({name: bindparam(f"new_{name}") for name in t.PULL_FACTS}), rows)


def settle_new(tx: Tx, organization_id: int, ids: Collection[int]) -> None:
    """Moves the sums that new pull requests find under their ids.

    SQLite gives out the id of the newest again once that is removed, and what was linked to that may still be in the
    sums, until the linker has looked at its runs.
    """
    u = t.rollup_pulls.c
    left = select(u.pull_request_id).where(
        u.organization_id == organization_id, u.cut == "pull", one_of(u.pull_request_id, ids)
    )
    settle_sums(tx, organization_id, {}, tx.scalars(left).all())


def _outcome(outcomes: Mapping[int, Became], id: int) -> str | None:
    found = outcomes.get(id)
    return found.outcome if found else None


def _links_of(tx: Tx, organization_id: int, ids: Collection[int]) -> Groups:
    """The counted rows of rollup_links of these pull requests, as `Change` gathers them."""
    r = t.rollup_links.c
    query = (
        select(
            r.day,
            r.team_id,
            r.repository_id,
            r.provider,
            r.pull_request_id,
            cast(func.sum(r.cost_nanos), BigInteger),
        )
        .where(
            r.organization_id == organization_id,
            # Spelled out, as the index of these rows alone is: with a parameter it could not be used.
            r.state == literal_column(f"'{LinkState.COUNTED}'"),
            r.pull_request_id != literal_column("0"),
            one_of(r.pull_request_id, ids),
        )
        .group_by(r.day, r.team_id, r.repository_id, r.provider, r.pull_request_id)
        # SQLite would read all days instead.
        .with_hint(t.rollup_links, "INDEXED BY ix_rollup_links_of_pull", "sqlite")
    )
    none = (0,) * (len(LINK_MEASURES) - 1)  # runs stay where they are
    return {
        (day, team, repository, provider, str(LinkState.COUNTED), "", pull): (*none, cost)
        for day, team, repository, provider, pull, cost in tx.execute(query)
    }
