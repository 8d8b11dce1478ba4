"""Letting go of GitHub's facts: who is leaving, how far that is, and the deletes, a slice in each transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, exists, func, insert, select, tuple_, update

from costlens.domain.link_marks import Mark, MarkKind
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.link_marks import marked_runs
from costlens.store.pull_outcomes import outcomes_of
from costlens.store.settled import settle_sums
from costlens.store.types import one_of

Values = dict[str, Any]

MENTIONS = 1_000  # rows a slice
PULLS = 100  # with their commits' places, reviews and promptIds
COMMITS = 500
LINKS = 1_000
DELIVERIES = 1_000

_KINDS = {"run": MarkKind.KEY, "session": MarkKind.SESSION}


def get_departure(tx: Tx, organization_id: int) -> Row[Any] | None:
    """How far an organization's leaving is. None: it is not leaving."""
    return tx.execute(
        select(t.github_departures).where(t.github_departures.c.organization_id == organization_id)
    ).first()


def departing(tx: Tx) -> list[int]:
    """Organizations that are leaving."""
    return list(tx.execute(select(t.github_departures.c.organization_id)).scalars())


def depart(tx: Tx, organization_id: int, *, by: str, at: datetime) -> None:
    """Deletes the connection with all credentials, stops every walk, and leaves the facts to be deleted."""
    source = t.github_repositories.c
    for table in (t.github_installations, t.github_connections):
        tx.execute(delete(table).where(table.c.organization_id == organization_id))
    mine = source.organization_id == organization_id
    tx.execute(delete(t.github_repositories).where(mine, source.repository_id.is_(None)))
    # Counted up, so that a page that is on its way is void.
    stopped: Values = {"version": source.version + 1, "phase": "facts", "cursor": None}
    stopped |= {"chosen": False, "offered": False, "due_at": None}
    tx.execute(update(t.github_repositories).where(mine).values(**stopped))
    tx.execute(insert(t.github_departures).values(organization_id=organization_id, asked_by=by, asked_at=at))


def count(tx: Tx, organization_id: int) -> None:
    """Notes how much there is to go through."""
    ids = select(t.github_repositories.c.repository_id).where(
        t.github_repositories.c.organization_id == organization_id
    )
    total = sum(
        int(tx.scalar(select(func.count()).select_from(table).where(table.c.repository_id.in_(ids), *more)) or 0)
        for table, more in (
            (t.pull_requests, ()),
            (t.commits, ()),
            (t.runs, (t.runs.c.organization_id == organization_id, t.runs.c.code.is_(True))),
        )
    )
    row = t.github_departures.c
    tx.execute(update(t.github_departures).where(row.organization_id == organization_id).values(total=total))


def next_source(tx: Tx, organization_id: int) -> Row[Any] | None:
    """A repository that is not done yet. None: all are."""
    row = t.github_repositories.c
    return tx.execute(
        select(t.github_repositories).where(row.organization_id == organization_id).order_by(row.id).limit(1)
    ).first()


def go_on(tx: Tx, source: Row[Any], done: int, values: Values) -> None:
    """Notes how far a repository is, and so many more rows done."""
    row, departure = t.github_repositories.c, t.github_departures.c
    tx.execute(update(t.github_repositories).where(row.id == source.id).values(**values))
    tx.execute(
        update(t.github_departures)
        .where(departure.organization_id == source.organization_id)
        .values(done=departure.done + done)
    )


def delete_mentions(tx: Tx, organization_id: int, repository_id: int) -> int:
    """Removes some mentions; runs without a repository that they name are before the linker again."""
    row = t.mentions.c
    place = tuple_(row.kind, row.value, row.source)
    mine = (row.organization_id == organization_id, row.repository_id == repository_id)
    some = tx.execute(
        select(row.kind, row.value, row.source).where(*mine).order_by(row.kind, row.value, row.source).limit(MENTIONS)
    ).all()
    if some:
        marks = {Mark(_KINDS[one.kind], one.value) for one in some if one.kind in _KINDS}
        runs = marked_runs(tx, organization_id, 0, marks) if marks else []
        _unsee_homeless(tx, organization_id, [run_id for _, run_id in runs])
        tx.execute(delete(t.mentions).where(*mine, place <= tuple_(*some[-1])))
    return len(some)


def delete_pulls(tx: Tx, organization_id: int, repository_id: int) -> int:
    """Removes some pull requests with all that hangs on them, and what people decided of them."""
    row, decision = t.pull_requests.c, t.link_decisions.c
    ids = _some_ids(tx, t.pull_requests, (row.repository_id == repository_id,), PULLS)
    if ids:
        decided = (decision.organization_id == organization_id, one_of(decision.pull_request_id, ids))
        runs = list(tx.execute(select(decision.run_id).where(*decided)).scalars())
        _unsee_homeless(tx, organization_id, runs)
        tx.execute(delete(t.link_decisions).where(*decided))
        before = outcomes_of(tx, organization_id, ids, change=True)
        tx.execute(delete(t.pull_requests).where(row.organization_id == organization_id, one_of(row.id, ids)))
        settle_sums(tx, organization_id, before, ids)
    return len(ids)


def delete_commits(tx: Tx, organization_id: int, repository_id: int) -> int:
    """Removes some commits."""
    row = t.commits.c
    ids = _some_ids(tx, t.commits, (row.repository_id == repository_id,), COMMITS)
    if ids:
        tx.execute(delete(t.commits).where(row.organization_id == organization_id, one_of(row.id, ids)))
    return len(ids)


def forget_facts(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Says that a repository has no facts any more, and voids links that are being made from them.

    Every run of it is looked at by who disconnects: no mark is needed, and none that is left.
    """
    row, mark = t.repositories.c, t.link_marks.c
    tx.execute(
        update(t.repositories)
        .where(row.organization_id == organization_id, row.id == repository_id)
        .values(
            github_id=None,
            default_branch=None,
            imported_at=None,
            closed_known=None,
            facts_version=row.facts_version + 1,
            linked_version=row.facts_version + 1,
            relinked_runs=None,
            links_version=row.links_version + 1,
        )
    )
    tx.execute(delete(t.link_marks).where(mark.organization_id == organization_id, mark.repository_id == repository_id))


def linked_homeless(tx: Tx, organization_id: int, repository_id: int, after: int) -> list[int]:
    """The next runs that name no repository and have links to this one, by id."""
    link, run = t.links.c, t.runs.c
    rows = tx.execute(
        select(link.run_id)
        .distinct()
        .join(t.runs, run.id == link.run_id)
        .where(link.organization_id == organization_id, link.repository_id == repository_id)
        .where(link.valid_to.is_(None), run.repository_id.is_(None), link.run_id > after)
        .order_by(link.run_id)
        .limit(LINKS)
    )
    return list(rows.scalars())


def delete_history(tx: Tx, organization_id: int, repository_id: int) -> int:
    """Removes some links that have ended."""
    row = t.links.c
    mine = (row.organization_id == organization_id, row.repository_id == repository_id)
    ids = _some_ids(tx, t.links, (*mine, row.valid_to.is_not(None)), LINKS)
    if ids:
        tx.execute(delete(t.links).where(one_of(row.id, ids)))
    return len(ids)


def end_source(tx: Tx, source: Row[Any]) -> None:
    """Nothing of a repository is left to be done."""
    tx.execute(delete(t.github_repositories).where(t.github_repositories.c.id == source.id))


def end(tx: Tx, organization_id: int) -> bool:
    """Removes deliveries and decisions without a pull request; answers whether that was the last of it."""
    row, decision, pull = t.github_deliveries.c, t.link_decisions.c, t.pull_requests.c
    ids = _some_ids(tx, t.github_deliveries, (row.organization_id == organization_id,), DELIVERIES)
    if ids:
        tx.execute(delete(t.github_deliveries).where(one_of(row.id, ids)))
        return False
    tx.execute(
        delete(t.link_decisions).where(
            decision.organization_id == organization_id,
            ~exists(select(pull.id).where(pull.id == decision.pull_request_id)),
        )
    )
    tx.execute(delete(t.github_departures).where(t.github_departures.c.organization_id == organization_id))
    return True


def _some_ids(tx: Tx, table: Any, conditions: Sequence[Any], limit: int) -> list[int]:
    return list(tx.execute(select(table.c.id).where(*conditions).limit(limit)).scalars())


def _unsee_homeless(tx: Tx, organization_id: int, run_ids: Sequence[int]) -> None:
    """Puts those of the runs that name no repository before the linker again."""
    run = t.runs.c
    if run_ids:
        tx.execute(
            update(t.runs)
            .where(run.organization_id == organization_id, run.repository_id.is_(None), one_of(run.id, run_ids))
            .values(linked_at=None)
        )
