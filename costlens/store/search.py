"""What a person may type to find something again: each look-up goes by an index and stops at a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, func, select, type_coerce

from costlens.store import tables as t
from costlens.store.analytics import values_of
from costlens.store.engine import Tx

FEW = 20
_WAITING = 500  # runs of one name that wait for the linker
# The caller's and the provider's names of a run; `request.<source>` only repeats the first.
_KINDS = ("client", "request", "correlation", "response", "provider_request", "span", "line")


def runs_of_key(tx: Tx, organization_id: int, value: str) -> list[int]:
    """Ids of the runs that one of their callers named so."""
    key = t.run_keys.c
    query = select(key.run_id).where(key.organization_id == organization_id, key.kind.in_(_KINDS), key.value == value)
    return sorted(set(tx.scalars(query.limit(FEW))))


def runs_named(tx: Tx, organization_id: int, column: str, value: str) -> list[int]:
    """Ids of some runs of a session or correlation, newest first.

    The index knows the runs that the linker has seen; those that wait for it are few.
    """
    run = t.runs.c
    named = (run.organization_id == organization_id, run[column] == value)
    seen = select(run.id, run.occurred_at).where(*named, run.linked_at.is_not(None))
    waiting = select(run.id, run.occurred_at).where(*named, run.linked_at.is_(None))
    # A sum, so that SQLite takes the index of the name and not that of the time; of those that wait it takes theirs
    # where no order is asked for.
    moment = type_coerce(run.occurred_at, BigInteger) + 0
    rows = list(tx.execute(seen.order_by(moment.desc(), run.id.desc()).limit(FEW)))
    rows += tx.execute(waiting.limit(_WAITING))
    return [row.id for row in sorted(rows, key=lambda row: row.occurred_at, reverse=True)][:FEW]


@dataclass(frozen=True, slots=True)
class FoundPull:
    id: int
    number: int
    title: str
    repository: str
    outcome: str


def pulls_numbered(tx: Tx, organization_id: int, number: int, repository_ids: Sequence[int] | None) -> list[FoundPull]:
    """Pull requests of this number, of all repositories or of these."""
    pull = t.pull_requests.c
    query = (
        select(pull.id, pull.number, pull.title, t.repositories.c.name, pull.outcome)
        .join(t.repositories, t.repositories.c.id == pull.repository_id)
        .where(t.repositories.c.organization_id == organization_id, pull.number == number)
        .order_by(t.repositories.c.name)
        .limit(FEW)
    )
    if repository_ids is not None:
        query = query.where(pull.repository_id.in_(repository_ids))
    return [FoundPull(*row) for row in tx.execute(query)]


def names_like(tx: Tx, organization_id: int, dimension: str, text: str) -> list[str]:
    """Prompts or models whose name holds this text, whatever its case."""
    value = values_of(organization_id, dimension).c.value
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = (
        select(value).where(value != "", func.lower(value).like(f"%{escaped}%", escape="\\")).order_by(value).limit(FEW)
    )
    return list(tx.scalars(query))
