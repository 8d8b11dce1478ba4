"""Reviews of pull requests, promptIds that their diffs bring in, and which of them are still to be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import keep_first, put

Review = tuple[int | None, str, datetime, str | None]  # person, state, submitted, identities of the author


def pull_ids(tx: Tx, organization_id: int, repository_id: int, numbers: Iterable[int]) -> dict[int, int]:
    """Id of each pull request by its number."""
    pull = t.pull_requests.c
    rows = tx.execute(
        select(pull.number, pull.id).where(
            pull.organization_id == organization_id,
            pull.repository_id == repository_id,
            pull.number.in_(list(numbers)),
        )
    )
    return {row.number: row.id for row in rows}


def save_reviews(tx: Tx, organization_id: int, reviews: Mapping[int, Sequence[Review]]) -> None:
    """Sets the reviews of pull requests, by id."""
    row = t.pull_request_reviews.c
    stored: dict[int, list[Review]] = {}
    query = select(t.pull_request_reviews).where(row.pull_request_id.in_(list(reviews)))
    for one in tx.execute(query.order_by(row.pull_request_id, row.position)):
        stored.setdefault(one.pull_request_id, []).append((one.person_id, one.state, one.submitted_at, one.author))
    for pull_id, wanted in reviews.items():
        if stored.get(pull_id, []) == list(wanted):
            continue
        tx.execute(delete(t.pull_request_reviews).where(row.pull_request_id == pull_id))
        rows = [
            {
                "pull_request_id": pull_id, "position": position, "organization_id": organization_id,
                "person_id": person, "state": state, "submitted_at": at, "author": author,
            }
            for position, (person, state, at, author) in enumerate(wanted)
        ]  # fmt: skip
        if rows:
            tx.execute(insert(t.pull_request_reviews), rows)


def save_prompts(tx: Tx, organization_id: int, pull_id: int, prompts: Iterable[str]) -> None:
    """Sets the promptIds that a pull request brings in."""
    row = t.pull_request_prompts.c
    tx.execute(delete(t.pull_request_prompts).where(row.pull_request_id == pull_id))
    head = {"pull_request_id": pull_id, "organization_id": organization_id}
    keep_first(tx, t.pull_request_prompts, [head | {"prompt_id": name} for name in sorted(prompts)])


def mark_due(tx: Tx, organization_id: int, repository_id: int, due: Mapping[int, tuple[bool, bool]]) -> None:
    """Notes by number whether reviews, and the diff, of pull requests are to be read."""
    ids = pull_ids(tx, organization_id, repository_id, due)
    put(
        tx,
        t.pull_request_details,
        [
            {
                "pull_request_id": ids[number], "organization_id": organization_id, "repository_id": repository_id,
                "number": number, "reviews_due": reviews, "diff_due": diff,
            }
            for number, (reviews, diff) in due.items()
            if number in ids
        ],
    )  # fmt: skip


def due(tx: Tx, organization_id: int, repository_id: int, *, diffs: bool, limit: int) -> Sequence[Row[Any]]:
    """Pull requests with something to be read, the newest first; `diffs`: they are wanted at all."""
    row = t.pull_request_details.c
    return tx.execute(
        select(t.pull_request_details)
        .where(
            row.organization_id == organization_id,
            row.repository_id == repository_id,
            or_(row.reviews_due, row.diff_due) if diffs else _is(row.reviews_due),
        )
        .order_by(row.number.desc())
        .limit(limit)
    ).all()


def _is(column: ColumnElement[bool]) -> ColumnElement[bool]:
    return column.is_(True)


def mark_read(tx: Tx, organization_id: int, pull_id: int, *, diff: bool) -> None:
    """Notes that reviews, and the diff too, were read."""
    row = t.pull_request_details.c
    values = {"reviews_due": False} | ({"diff_due": False} if diff else {})
    tx.execute(
        update(t.pull_request_details)
        .where(row.organization_id == organization_id, row.pull_request_id == pull_id)
        .values(**values)
    )


def names_prompts(tx: Tx, organization_id: int) -> bool:
    """Whether any run of the organization names a promptId."""
    row = t.rollup_dimension.c
    query = select(row.value).where(row.organization_id == organization_id, row.dimension == "prompt", row.value > "")
    return tx.scalar(query.limit(1)) is not None
