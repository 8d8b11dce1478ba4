"""Comments on pull requests: whose comment may be out of date, which is to be written next, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Row, Select, and_, case, cast, func, or_, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import keep_new

Values = dict[str, Any]

_comment, _pull, _source = t.pull_request_comments.c, t.pull_requests.c, t.github_repositories.c
_connection, _installation = t.github_connections.c, t.github_installations.c


def organizations_at_work(tx: Tx) -> list[int]:
    """Connected organizations that write comments, or have some to delete."""
    unwanted = select(_comment.organization_id).where(_comment.state == "unwanted")
    query = select(_connection.organization_id).where(
        or_(_connection.comments_on_at.is_not(None), _connection.organization_id.in_(unwanted))
    )
    return list(tx.execute(query.order_by(_connection.organization_id)).scalars())


def candidates(tx: Tx, organization_id: int, closed_after: datetime) -> Sequence[Row[Any]]:
    """Pull requests that may have a comment, open or closed since then and since comments are on, with what they cost
    and what their comment says; not those whose comment a person deleted or that wait for an attempt.
    """
    return tx.execute(
        _wanted(
            select(
                _pull.id, _pull.repository_id, _pull.outcome, *_sums(),
                _comment.state, _comment.outcome.label("said_outcome"), _comment.runs, _comment.cost_nanos,
                _comment.written_at,
            ),
            organization_id,
            closed_after,
        )
        .outerjoin(t.pull_request_comments, _comment.pull_request_id == _pull.id)
        .where(or_(_comment.state.is_(None), _comment.state == "written"))
        .order_by(_pull.id)
    ).all()  # fmt: skip


def _sums() -> tuple[Any, Any]:
    """Runs and cost of a pull request, from the ledger's own sums."""
    sums = t.rollup_pulls.c
    mine = (sums.organization_id == _pull.organization_id, sums.cut == "pull", sums.pull_request_id == _pull.id)
    runs, cost = (
        select(cast(func.coalesce(func.sum(column), 0), BigInteger)).where(*mine).scalar_subquery()
        for column in (sums.runs, sums.cost_nanos)
    )
    return runs.label("runs_now"), cost.label("cost_now")


def figures(tx: Tx, organization_id: int, pull_request_id: int) -> Row[Any] | None:
    """Outcome, runs and cost of a pull request, as `candidates` tells them. None: it is gone."""
    query = select(_pull.outcome, *_sums()).where(_pull.organization_id == organization_id, _pull.id == pull_request_id)
    return tx.execute(query).first()


def _wanted(query: Select[Any], organization_id: int, closed_after: datetime) -> Select[Any]:
    """Of pull requests those that may have a comment now: by a person, not closed for long, of a repository that is
    read and where comments are on and allowed.
    """
    person = t.people.c
    since = case((_source.comments_on_at > _connection.comments_on_at, _source.comments_on_at),
                 else_=_connection.comments_on_at)  # fmt: skip
    return (
        query.select_from(t.pull_requests)
        .join(
            t.github_repositories,
            and_(_source.organization_id == _pull.organization_id, _source.repository_id == _pull.repository_id),
        )
        .join(t.github_connections, _connection.organization_id == _pull.organization_id)
        .join(
            t.github_installations,
            and_(
                _installation.organization_id == _source.organization_id,
                _installation.installation_id == _source.installation_id,
            ),
        )
        .outerjoin(t.people, person.id == _pull.person_id)
        .where(
            _pull.organization_id == organization_id,
            _source.chosen.is_(True),
            _source.archived.is_(False),
            _source.state != "lost",
            _source.comments_on_at.is_not(None),
            _source.comments_error.is_(None),
            _connection.comments_on_at.is_not(None),
            _installation.may_comment.is_not(False),
            func.coalesce(person.bot, False).is_(False),
            or_(_pull.closed_at.is_(None), _pull.closed_at >= closed_after),
            or_(_pull.closed_at.is_(None), _pull.closed_at >= since),
        )
    )


def plan(tx: Tx, organization_id: int, repositories: dict[int, int], due: dict[int, datetime]) -> None:
    """Comments on these pull requests, with the repository of each, are to be written then."""
    rows = [
        {
            "pull_request_id": pull_id, "organization_id": organization_id, "repository_id": repositories[pull_id],
            "state": "due", "due_at": at,
        }
        for pull_id, at in due.items()
    ]  # fmt: skip
    for row in rows:
        # One that was asked to be deleted meanwhile stays so.
        stands = update(t.pull_request_comments).where(
            _comment.organization_id == organization_id,
            _comment.pull_request_id == row["pull_request_id"],
            _comment.state == "written",
        )
        if not keep_new(tx, t.pull_request_comments, row):
            tx.execute(stands.values(state="due", due_at=row["due_at"], version=_comment.version + 1))


def next_due(tx: Tx, organization_id: int, now: datetime, closed_after: datetime) -> Row[Any] | None:
    """The comment that waits longest to be written, or to be deleted, with its pull request and where it is read from.

    None: nothing is due, or may be done.
    """
    columns = (t.pull_request_comments, _pull.number, _source.installation_id, _source.id.label("source_id"),
               _source.name.label("source_name"))  # fmt: skip
    written = (
        _wanted(select(*columns), organization_id, closed_after)
        .join(t.pull_request_comments, _comment.pull_request_id == _pull.id)
        .where(_comment.state == "due", _comment.due_at <= now)
    )
    deleted = (
        select(*columns)
        .select_from(t.pull_request_comments)
        .join(t.pull_requests, _pull.id == _comment.pull_request_id)
        .join(
            t.github_repositories,
            and_(_source.organization_id == _comment.organization_id, _source.repository_id == _comment.repository_id),
        )
        .join(t.github_connections, _connection.organization_id == _comment.organization_id)
        .where(
            _comment.organization_id == organization_id,
            _comment.state == "unwanted",
            _comment.due_at <= now,
        )
    )
    found = [tx.execute(query.order_by(_comment.due_at, _pull.id).limit(1)).first() for query in (deleted, written)]
    return next((row for row in found if row is not None), None)


def put_off(tx: Tx, organization_id: int, installation_id: int, until: datetime) -> None:
    """Nothing of an installation is due before then."""
    sources = select(_source.repository_id).where(
        _source.organization_id == organization_id,
        _source.installation_id == installation_id,
        _source.repository_id.is_not(None),
    )
    tx.execute(
        update(t.pull_request_comments)
        .where(
            _comment.organization_id == organization_id,
            _comment.repository_id.in_(sources),
            _comment.state.in_(("due", "unwanted")),
            _comment.due_at < until,
        )
        .values(due_at=until)
    )


def claim(tx: Tx, row: Row[Any], until: datetime) -> bool:
    """Nobody else takes this comment until then; False: somebody was faster."""
    return _change(tx, row, row.version, {"due_at": until})


def settle(tx: Tx, row: Row[Any], values: Values) -> None:
    """Stores what came of a claimed comment, unless something else was asked of it meanwhile."""
    _change(tx, row, row.version + 1, values)


def _change(tx: Tx, row: Row[Any], version: int, values: Values) -> bool:
    done = tx.execute(
        update(t.pull_request_comments)
        .where(
            _comment.organization_id == row.organization_id,
            _comment.pull_request_id == row.pull_request_id,
            _comment.version == version,
        )
        .values(version=version + 1, **values)
    )
    return done.rowcount == 1


def forget(tx: Tx, organization_id: int, pull_request_id: int, version: int) -> None:
    """Removes the row of a comment that was deleted."""
    tx.execute(
        t.pull_request_comments.delete().where(
            _comment.organization_id == organization_id,
            _comment.pull_request_id == pull_request_id,
            _comment.version == version,
        )
    )


def turn(tx: Tx, organization_id: int, on: bool, source_ids: Iterable[int], now: datetime) -> None:
    """Comments on, or off, in the organization and in exactly these repositories; what was on stays as it was."""
    connection = update(t.github_connections).where(_connection.organization_id == organization_id)
    if on:
        tx.execute(connection.where(_connection.comments_on_at.is_(None)).values(comments_on_at=now))
    else:
        tx.execute(connection.values(comments_on_at=None))
    mine, chosen = _source.organization_id == organization_id, list(source_ids)
    tx.execute(
        update(t.github_repositories)
        .where(mine, _source.id.not_in(chosen))
        .values(comments_on_at=None, comments_error=None)
    )
    tx.execute(
        update(t.github_repositories)
        .where(mine, _source.id.in_(chosen), _source.comments_on_at.is_(None))
        .values(comments_on_at=now)
    )


def block(tx: Tx, organization_id: int, source_id: int, reason: str | None) -> None:
    """GitHub allows no comments in a repository (none: it may be tried)."""
    tx.execute(
        update(t.github_repositories)
        .where(_source.organization_id == organization_id, _source.id == source_id)
        .values(comments_error=reason)
    )


def unblock(tx: Tx, organization_id: int, installation_id: int | None = None) -> None:
    """Comments are tried again everywhere, or in the repositories of an installation, with a token minted anew."""
    source, installation = _source.organization_id == organization_id, _installation.organization_id == organization_id
    if installation_id is not None:
        source &= _source.installation_id == installation_id
        installation &= _installation.installation_id == installation_id
    tx.execute(update(t.github_repositories).where(source).values(comments_error=None))
    # A token keeps the permissions that it was minted with.
    tx.execute(update(t.github_installations).where(installation).values(token=None, token_until=None))


def hurry(tx: Tx, organization_id: int, now: datetime) -> None:
    """What could not be deleted is tried again at once."""
    tx.execute(
        update(t.pull_request_comments)
        .where(_comment.organization_id == organization_id, _comment.state == "unwanted", _comment.error.is_not(None))
        .values(due_at=now, version=_comment.version + 1)
    )


def note_permission(tx: Tx, organization_id: int, installation_id: int, may_comment: bool | None) -> None:
    """Whether an installation may comment, as GitHub tells now; one that may again is tried at once."""
    mine = (_installation.organization_id == organization_id, _installation.installation_id == installation_id)
    before = tx.execute(select(_installation.may_comment).where(*mine)).scalar_one_or_none()
    if before == may_comment:
        return
    tx.execute(update(t.github_installations).where(*mine).values(may_comment=may_comment))
    if may_comment:
        unblock(tx, organization_id, installation_id)


def counts(tx: Tx, organization_id: int) -> dict[int, tuple[int, datetime | None]]:
    """By repository (its own id): comments that stand on GitHub, and when the last one was written."""
    rows = tx.execute(
        select(_comment.repository_id, func.count().label("standing"), func.max(_comment.written_at).label("last"))
        .where(_comment.organization_id == organization_id, _comment.state.in_(("due", "written")))
        .where(_comment.comment_id.is_not(None))
        .group_by(_comment.repository_id)
    )
    return {row.repository_id: (row.standing, row.last) for row in rows}


def being_deleted(tx: Tx, organization_id: int) -> tuple[int, str | None]:
    """Comments that are still to be deleted, and what GitHub said when one could not be (None: nothing)."""
    query = select(func.count().label("left"), func.max(_comment.error).label("error")).where(
        _comment.organization_id == organization_id, _comment.state == "unwanted"
    )
    row = tx.execute(query).one()
    return row.left, row.error


def reject(tx: Tx, organization_id: int, now: datetime) -> int:
    """The comments where comments are off are to be deleted; answers how many."""
    off = (
        select(_source.repository_id)
        .join(t.github_connections, _connection.organization_id == _source.organization_id)
        .where(_source.organization_id == organization_id, _source.repository_id.is_not(None))
        .where(or_(_source.comments_on_at.is_(None), _connection.comments_on_at.is_(None)))
    )
    done = tx.execute(
        update(t.pull_request_comments)
        .where(
            _comment.organization_id == organization_id,
            _comment.repository_id.in_(off),
            _comment.state.in_(("due", "written")),
            # Without an id too: the answer that told it may have been lost.
            or_(_comment.comment_id.is_not(None), _comment.version > 0),
        )
        .values(state="unwanted", due_at=now, error=None, failures=0, version=_comment.version + 1)
    )
    return done.rowcount
