"""Which runs wait for the linker, and the runs as it reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, or_, select, update

from costlens.domain.links import RunFact
from costlens.domain.runs import show_id
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.plans import checked
from costlens.store.types import one_of

RunRow = dict[str, Any]
Place = tuple[datetime, int]  # when a run occurred, and its id: the order of a pass over all runs

_COLUMNS = [
    t.runs.c[name]
    for name in (
        "id",
        "occurred_at",
        "person_id",
        "branch",
        "session_id",
        "commit_sha",
        "commit_role",
        "pr_number",
        "files",
        "request_id",
        "correlation_id",
        "prompt_id",
        "repository_id",
        "code",
        "link_state",
        "unlinked_reason",
        "linked_at",
        # what the ledger asks
        "team_id",
        "provider",
        "cost_nanos",
        # and the sums of runs by state
        "model",
        "tool",
        "environment",
        "success",
    )
]


def run_fact(row: Mapping[str, Any]) -> RunFact:
    """What the linker may know of a stored run."""
    return RunFact(
        id=row["id"],
        occurred_at=row["occurred_at"],
        person_id=row["person_id"],
        branch=row["branch"],
        session_id=row["session_id"],
        commit_sha=row["commit_sha"],
        commit_is_result=row["commit_role"] == "result",
        pr_number=row["pr_number"],
        files=frozenset(row["files"] or ()),
        keys=frozenset(key for key in (show_id("run", row["id"]), row["request_id"], row["correlation_id"]) if key),
        prompt_id=row["prompt_id"],
        has_repository=row["repository_id"] is not None,
        code=row["code"],
    )


@dataclass(frozen=True, slots=True)
class Versions:
    """Of a repository: its facts, the facts that were last linked, and its links; and what it calls its branch."""

    facts: int = 0
    linked: int = 0
    links: int = 0
    default_branch: str | None = None  # None: unknown


def versions(tx: Tx, organization_id: int, repository_id: int) -> Versions:
    """The counters of a repository; all zero for runs that name none."""
    column = t.repositories.c
    row = tx.execute(
        select(column.facts_version, column.linked_version, column.links_version, column.default_branch).where(
            column.organization_id == organization_id, column.id == repository_id
        )
    ).first()
    return Versions(*row) if row else Versions()


def claim_links(tx: Tx, organization_id: int, repository_id: int, links_version: int) -> str | None:
    """Takes the right to write links that were made from what was read under this count. None: read it again.

    Answers the organization's time zone, by which the ledger's days are cut.
    """
    column = t.repositories.c
    mine = (column.organization_id == organization_id, column.id == repository_id)
    zone = select(t.organizations.c.timezone).where(t.organizations.c.id == organization_id).scalar_subquery()
    claimed: str | None = tx.execute(
        update(t.repositories)
        .where(*mine, column.links_version == links_version)
        .values(links_version=links_version + 1)
        .returning(zone)
    ).scalar_one_or_none()
    return claimed


def set_linked_version(tx: Tx, organization_id: int, repository_id: int, version: int) -> None:
    """Notes which version of GitHub's facts the links were made from: a pass over all runs is at its end."""
    tx.execute(
        update(t.repositories)
        .where(t.repositories.c.organization_id == organization_id, t.repositories.c.id == repository_id)
        .values(linked_version=version, relinked_runs=None)
    )


def note_relinked(tx: Tx, organization_id: int, repository_id: int, runs: int) -> None:
    """Notes how many runs a pass over all of a repository has done."""
    tx.execute(
        update(t.repositories)
        .where(t.repositories.c.organization_id == organization_id, t.repositories.c.id == repository_id)
        .values(relinked_runs=runs)
    )


def _code_runs(organization_id: int, repository_id: int) -> tuple[ColumnElement[bool], ...]:
    run = t.runs.c
    place = run.repository_id == repository_id if repository_id else run.repository_id.is_(None)
    return run.organization_id == organization_id, run.code.is_(True), place


def seen_runs(tx: Tx, organization_id: int, repository_id: int, after: datetime | None, limit: int) -> list[Place]:
    """About so many of the runs that the linker has seen, by time: all of each moment. Empty: there are no more."""
    run = t.runs.c
    mine = (*_code_runs(organization_id, repository_id), run.linked_at.is_not(None))
    later = [run.occurred_at > after] if after else []
    # By time alone: for an order by id as well, SQLite reads the runs of all repositories.
    query = select(run.occurred_at, run.id).where(*mine, *later).order_by(run.occurred_at).limit(limit)
    page = [(row.occurred_at, row.id) for row in tx.execute(query)]
    if len(page) < limit:
        return sorted(page)
    last = page[-1][0]
    whole = [place for place in page if place[0] < last]
    if not whole:
        moment = select(run.occurred_at, run.id).where(*mine, run.occurred_at == last)
        whole = [(row.occurred_at, row.id) for row in tx.execute(moment)]
    return sorted(whole)


def waiting_runs(tx: Tx, organization_id: int, repository_id: int, after: int, limit: int) -> list[Place]:
    """The next runs that the linker has not seen, by id."""
    run = t.runs.c
    query = (
        select(run.occurred_at, run.id)
        .where(*_code_runs(organization_id, repository_id), run.linked_at.is_(None), run.id > after)
        .order_by(run.id)
        .limit(limit)
    )
    return [(row.occurred_at, row.id) for row in tx.execute(query)]


def overdue_runs(tx: Tx, organization_id: int, repository_id: int, before: datetime) -> list[Place]:
    """Runs that have been pending since before this moment."""
    run = t.runs.c
    mine = (*_code_runs(organization_id, repository_id), *_pending())
    rows = tx.execute(select(run.occurred_at, run.id).where(*mine, run.occurred_at <= before))
    return [(row.occurred_at, row.id) for row in rows]


def _pending() -> tuple[ColumnElement[bool], ...]:
    # The word itself and no parameter: or no engine sees that the index of pending runs has all of them.
    return t.runs.c.linked_at.is_not(None), t.runs.c.link_state == literal_column("'pending'")


def count_runs(tx: Tx, organization_id: int, repository_id: int) -> int:
    """How many runs a full pass looks at."""
    return int(tx.scalar(select(func.count()).where(*_code_runs(organization_id, repository_id))) or 0)


def read_runs(tx: Tx, organization_id: int, run_ids: Iterable[int], *, lock: bool = False) -> list[RunRow]:
    """What the linker asks of these runs, of any repository, by id; absent ones are left out.

    `lock`: no other writer changes them before this transaction ends, see `store.runs.get_runs`.
    """
    run = t.runs.c
    mine = (checked(run.organization_id, organization_id), run.code.is_(True))
    query = select(*_COLUMNS).where(*mine, one_of(run.id, run_ids)).order_by(run.id)
    return [dict(row) for row in tx.execute(query.with_for_update() if lock else query).mappings()]


def session_mates(
    tx: Tx, organization_id: int, repository_id: int, runs: Sequence[RunFact], reach: timedelta
) -> list[RunRow]:
    """Seen runs of the same sessions, from so long before the first of the runs until so long after the last."""
    run = t.runs.c
    own = [one for one in runs if one.session_id and one.has_repository]
    if not own:
        return []
    first, last = min(one.occurred_at for one in own), max(one.occurred_at for one in own)
    rows = tx.execute(
        select(*_COLUMNS).where(
            run.organization_id == organization_id,
            checked(run.repository_id, repository_id),
            run.code.is_(True),
            run.linked_at.is_not(None),
            one_of(run.session_id, (one.session_id for one in own)),
            run.occurred_at.between(first - reach, last + reach),
        )
    )
    return [dict(row) for row in rows.mappings()]


def waiting_repositories(tx: Tx, received_before: datetime) -> list[tuple[int, int]]:
    """(organization, repository) with runs that the linker has not seen, or with facts newer than their links.

    Repository 0 stands for runs that name none.
    """
    run, mark, repository = t.runs.c, t.link_marks.c, t.repositories.c
    unseen = (
        select(run.organization_id, func.coalesce(run.repository_id, 0))
        .distinct()
        .where(run.linked_at.is_(None), run.code.is_(True), run.received_at < received_before)
    )
    marked = select(mark.organization_id, mark.repository_id).distinct()
    stale = select(repository.organization_id, repository.id).where(
        repository.facts_version != repository.linked_version
    )
    return sorted({(row[0], row[1]) for query in (unseen, marked, stale) for row in tx.execute(query)})


def overdue_repositories(tx: Tx, before: datetime) -> list[tuple[int, int]]:
    """(organization, repository) with runs that are still pending though older than a pull request may take."""
    run = t.runs.c
    rows = tx.execute(
        select(run.organization_id, func.coalesce(run.repository_id, 0))
        .distinct()
        .where(*_pending(), run.occurred_at < before)
    )
    return sorted((row[0], row[1]) for row in rows)


def count_unseen(tx: Tx, organization_id: int) -> int:
    """Runs that the linker has not seen, and repositories whose facts are newer than their links."""
    run, mark, repository = t.runs.c, t.link_marks.c, t.repositories.c
    unseen = tx.scalar(
        select(func.count()).where(run.organization_id == organization_id, run.linked_at.is_(None), run.code.is_(True))
    )
    marked = select(mark.repository_id).where(mark.organization_id == organization_id)
    behind = tx.scalar(
        select(func.count()).where(
            repository.organization_id == organization_id,
            or_(repository.facts_version != repository.linked_version, repository.id.in_(marked)),
        )
    )
    return int(unseen or 0) + int(behind or 0)
