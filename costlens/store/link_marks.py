"""Marks of what changed since the last linking pass, and the seen runs that they point at.

Runs that the linker has not seen need no mark. The words `linked_at IS NOT NULL` in each query are what lets it use
the indexes of seen runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from costlens.domain.link_marks import Mark, MarkKind
from costlens.domain.link_rules import SESSION_FILES
from costlens.domain.runs import read_id
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.plans import checked
from costlens.store.types import one_of
from costlens.store.upsert import insert_many

MOST = 20_000  # marks of one repository; beyond it, looking at every run is no more work

_Window = tuple[datetime | None, datetime | None]


def add_marks(tx: Tx, organization_id: int, repository_id: int, marks: Collection[Mark]) -> None:
    """Puts the runs that these marks point at before the linker again; too many marks mean every run."""
    mark = t.link_marks.c
    mine = (mark.organization_id == organization_id, mark.repository_id == repository_id)
    there = tx.scalar(select(func.count()).select_from(select(mark.id).where(*mine).limit(MOST).subquery()))
    if int(there or 0) + len(marks) > MOST:
        mark_all(tx, organization_id, repository_id)
        return
    head = {"organization_id": organization_id, "repository_id": repository_id}
    insert_many(
        tx,
        t.link_marks,
        [head | {"kind": str(one.kind), "value": one.value, "since": one.since, "until": one.until} for one in marks],
    )


def mark_all(tx: Tx, organization_id: int, repository_id: int) -> None:
    """Puts every run of a repository before the linker again."""
    repository = t.repositories.c
    tx.execute(
        update(t.repositories)
        .where(repository.organization_id == organization_id, repository.id == repository_id)
        .values(facts_version=repository.facts_version + 1)
    )


def mark_mates(tx: Tx, organization_id: int, run_ids: Collection[int]) -> None:
    """Puts the runs that share a session with these, at their time, before the linker again."""
    run = t.runs.c
    named = (run.repository_id.is_not(None), run.session_id.is_not(None))
    rows = tx.execute(
        select(run.repository_id, run.session_id, func.min(run.occurred_at), func.max(run.occurred_at))
        .where(checked(run.organization_id, organization_id), one_of(run.id, run_ids), *named)
        .group_by(run.repository_id, run.session_id)
    )
    marks: dict[int, list[Mark]] = defaultdict(list)
    for repository_id, session, first, last in rows:
        marks[repository_id].append(Mark(MarkKind.SESSION, session, first - SESSION_FILES, last + SESSION_FILES))
    for repository_id, found in sorted(marks.items()):
        add_marks(tx, organization_id, repository_id, found)


def read_marks(tx: Tx, organization_id: int, repository_id: int) -> tuple[list[int], list[Mark]]:
    """The marks of a repository with their ids."""
    mark = t.link_marks.c
    rows = tx.execute(
        select(mark.id, mark.kind, mark.value, mark.since, mark.until).where(
            mark.organization_id == organization_id, mark.repository_id == repository_id
        )
    ).all()
    return [row.id for row in rows], [Mark(MarkKind(row.kind), row.value, row.since, row.until) for row in rows]


def drop_marks(tx: Tx, organization_id: int, ids: Sequence[int]) -> None:
    """Removes marks whose runs have been looked at; those that came meanwhile stay."""
    mark = t.link_marks.c
    tx.execute(delete(t.link_marks).where(checked(mark.organization_id, organization_id), one_of(mark.id, ids)))


def marked_runs(tx: Tx, organization_id: int, repository_id: int, marks: Iterable[Mark]) -> list[tuple[datetime, int]]:
    """(occurred_at, id) of the seen runs that marks point at, oldest first: the repository's, and those of none.

    A run that is marked by its own number need not have been seen.
    """
    run = t.runs.c
    here = run.repository_id == repository_id
    here_or_none = or_(here, run.repository_id.is_(None))
    windows: dict[MarkKind, dict[str, list[_Window]]] = defaultdict(lambda: defaultdict(list))
    for mark in marks:
        windows[mark.kind][mark.value].append((mark.since, mark.until))
    keys = list(windows[MarkKind.KEY])
    people = {int(value): found for value, found in windows[MarkKind.PERSON].items()}
    named = [
        *_among(run.correlation_id, keys, here_or_none),
        *_among(run.commit_sha, windows[MarkKind.COMMIT], here),
        *_among(run.pr_number, map(int, windows[MarkKind.PULL]), here),
        *_within(run.session_id, windows[MarkKind.SESSION], here_or_none),
        *_within(run.branch, windows[MarkKind.BRANCH], here),
        *_within(run.person_id, people, here),
    ]
    mine, seen = run.organization_id == organization_id, run.linked_at.is_not(None)
    conditions = [and_(mine, seen, condition) for condition in named]
    by_id = checked(run.organization_id, organization_id)
    known = _among(run.id, _of_keys(tx, organization_id, keys), here_or_none)
    conditions += [and_(by_id, seen, condition) for condition in known]
    numbers = _among(run.id, map(int, windows[MarkKind.RUN]), here_or_none)
    conditions += [and_(by_id, condition) for condition in numbers]
    found: dict[int, datetime] = {}
    for condition in conditions:
        rows = tx.execute(select(run.id, run.occurred_at).where(condition, run.code.is_(True)))
        found.update({row.id: row.occurred_at for row in rows})
    return sorted((at, number) for number, at in found.items())


def _among(column: Any, values: Iterable[Any], place: ColumnElement[bool]) -> Iterator[ColumnElement[bool]]:
    if wanted := list(values):
        yield and_(place, one_of(column, wanted))


def _of_keys(tx: Tx, organization_id: int, keys: Sequence[str]) -> set[int]:
    """Runs by shown id, and by request id, which `run_keys` knows."""
    column = t.run_keys.c
    numbers = {number for key in keys if (number := read_id("run", key)) is not None}
    if keys:
        known = (column.organization_id == organization_id, column.kind == "request", one_of(column.value, keys))
        numbers.update(tx.scalars(select(column.run_id).where(*known)))
    return numbers


def _within(
    column: Any, windows: dict[Any, list[_Window]], place: ColumnElement[bool]
) -> Iterator[ColumnElement[bool]]:
    """Values without a window together, each window of the others by itself."""
    yield from _among(column, [value for value, found in windows.items() if (None, None) in found], place)
    at = t.runs.c.occurred_at
    for value, found in windows.items():
        if (None, None) in found:
            continue
        for since, until in _joined(found):
            bounds = ([at >= since] if since else []) + ([at <= until] if until else [])
            yield and_(place, column == value, *bounds)


def _joined(windows: list[_Window]) -> list[_Window]:
    """The same span of time in windows that do not overlap."""
    joined: list[_Window] = []
    for since, until in sorted(windows, key=lambda window: (window[0] is not None, window[0] or 0)):
        last = joined[-1] if joined else None
        if last and (last[1] is None or since is None or since <= last[1]):
            joined[-1] = (last[0], None if last[1] is None or until is None else max(last[1], until))
        else:
            joined.append((since, until))
    return joined
