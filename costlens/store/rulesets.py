"""Rulesets of the linker, and what the tests of its rules came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Row, cast, delete, func, insert, select, update

from costlens.domain.calibration import Tally
from costlens.domain.link_rules import RULESET_V1
from costlens.domain.links import Ruleset
from costlens.domain.rulesets import make_ruleset
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import insert_one

_ruleset, _calibration, _link = t.link_rulesets.c, t.link_calibrations.c, t.links.c


def list_rulesets(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """All of an organization, the one in force first, then older ones; one that is not applied comes before them."""
    mine = (_ruleset.organization_id == organization_id, _ruleset.dropped_at.is_(None))
    rows = tx.execute(select(t.link_rulesets).where(*mine)).all()
    return sorted(rows, key=lambda row: (row.version is not None, -(row.version or 0), -row.id))


def ruleset_in_force(tx: Tx, organization_id: int) -> Row[Any] | None:
    """The newest that was applied. None: the delivered one."""
    applied = (_ruleset.organization_id == organization_id, _ruleset.version.is_not(None))
    return tx.execute(select(t.link_rulesets).where(*applied).order_by(_ruleset.version.desc()).limit(1)).first()


def ruleset_of(tx: Tx, organization_id: int) -> Ruleset:
    """The rules that an organization links by."""
    row = ruleset_in_force(tx, organization_id)
    return make_ruleset(row.version, row.threshold, row.stances) if row else RULESET_V1


def get_ruleset(tx: Tx, organization_id: int, ruleset_id: int, *, lock: bool = False) -> Row[Any] | None:
    """One by its id. None: there is none."""
    mine = (_ruleset.organization_id == organization_id, _ruleset.dropped_at.is_(None))
    query = select(t.link_rulesets).where(*mine, _ruleset.id == ruleset_id)
    return tx.execute(query.with_for_update() if lock else query).first()


def add_draft(tx: Tx, organization_id: int, values: Mapping[str, Any]) -> int:
    """Stores a ruleset that is not applied yet, in place of an earlier such one; answers its id."""
    drop_drafts(tx, organization_id, values["created_at"])
    return insert_one(tx, t.link_rulesets, {"organization_id": organization_id, **values})


def drop_drafts(tx: Tx, organization_id: int, at: datetime) -> bool:
    """Removes the ruleset that is not applied; answers whether there was one."""
    mine = (_ruleset.organization_id == organization_id, _ruleset.version.is_(None), _ruleset.dropped_at.is_(None))
    return bool(tx.execute(update(t.link_rulesets).where(*mine).values(dropped_at=at)).rowcount)


def set_ruleset(tx: Tx, organization_id: int, ruleset_id: int, values: Mapping[str, Any]) -> None:
    """Sets columns of one."""
    mine = (_ruleset.organization_id == organization_id, _ruleset.id == ruleset_id)
    tx.execute(update(t.link_rulesets).where(*mine).values(**values))


def uncompared(tx: Tx) -> list[tuple[int, int]]:
    """(organization, ruleset) that wait for their comparison."""
    new = (_ruleset.version.is_(None), _ruleset.dropped_at.is_(None))
    waiting = (*new, _ruleset.compared_at.is_(None), _ruleset.problem.is_(None))
    return [(row.organization_id, row.id) for row in tx.execute(select(t.link_rulesets).where(*waiting))]


@dataclass(frozen=True, slots=True)
class Relinking:
    """How far links are computed anew: repositories, and the runs of code that were given to any."""

    left: int  # repositories that wait for a pass over all their runs, or are in it
    repositories: int
    runs_done: int
    runs: int


def relinking(tx: Tx, organization_id: int) -> Relinking:
    """How far links are computed anew; runs are counted only while any repository waits."""
    repository, spend = t.repositories.c, t.rollup_spend.c
    rows = tx.execute(
        select(repository.id, repository.relinked_runs, repository.facts_version != repository.linked_version).where(
            repository.organization_id == organization_id
        )
    ).all()
    behind = {row[0]: row[1] or 0 for row in rows if row[2]}
    if not behind:
        return Relinking(0, len(rows), 0, 0)
    code = cast(func.sum(spend.ledger_runs - spend.not_code_runs), BigInteger)
    sums = tx.execute(
        select(spend.repository_id, code.label("runs"))
        .where(spend.organization_id == organization_id, spend.cut == "repository", spend.repository_id != 0)
        .group_by(spend.repository_id)
    )
    runs = {row.repository_id: int(row.runs) for row in sums}
    done = sum(min(behind.get(number, count), count) for number, count in runs.items())
    return Relinking(len(behind), len(rows), done, sum(runs.values()))


def told_runs(tx: Tx, organization_id: int, rules: Sequence[str], limit: int) -> list[tuple[int, int, datetime]]:
    """(repository, run, when) of the newest runs with a counted link by one of these rules, by repository and time."""
    newest = (
        select(_link.repository_id, _link.run_id)
        .distinct()
        .where(
            _link.organization_id == organization_id,
            _link.valid_to.is_(None),
            _link.state == "counted",
            _link.rule.in_(rules),
        )
        .order_by(_link.run_id.desc())
        .limit(limit)
        .subquery()
    )
    run = t.runs.c
    rows = tx.execute(
        select(newest.c.repository_id, run.id, run.occurred_at)
        .join(t.runs, run.id == newest.c.run_id)
        .order_by(newest.c.repository_id, run.occurred_at, run.id)
    )
    return [(row.repository_id, row.id, row.occurred_at) for row in rows]


def set_calibration(tx: Tx, organization_id: int, tallies: Mapping[str, Tally], at: datetime) -> None:
    """Keeps what the tests came to, in place of the earlier ones."""
    tx.execute(delete(t.link_calibrations).where(_calibration.organization_id == organization_id))
    tx.execute(
        insert(t.link_calibrations),
        [
            {
                "organization_id": organization_id,
                "rule": rule,
                "tested": tally.tested,
                "right": tally.right,
                "measured_at": at,
            }
            for rule, tally in tallies.items()
        ],
    )


def calibration(tx: Tx, organization_id: int) -> tuple[dict[str, Tally], datetime | None]:
    """What the last tests came to, by rule, and when that was. None: never yet."""
    rows = tx.execute(select(t.link_calibrations).where(_calibration.organization_id == organization_id)).all()
    return {row.rule: Tally(row.tested, row.right) for row in rows}, rows[0].measured_at if rows else None
