"""Reports that are kept, who gets them by e-mail, and what they are made of besides the ROI figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, case, delete, func, insert, select, tuple_, update

from costlens.domain.periods import bounds
from costlens.domain.roi import Filters, Window
from costlens.domain.team_report import ModelUse
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import insert_one, keep_first

_HEAD = ("id", "kind", "scope", "scope_id", "first", "last", "version", "as_of", "digest")
_head = [t.stored_reports.c[name] for name in _HEAD]


@dataclass(frozen=True, slots=True)
class Key:
    """What one report is a version of."""

    kind: str
    scope: str
    scope_id: int
    first: date
    last: date


def add_report(tx: Tx, organization_id: int, key: Key, as_of: datetime, inputs: str, digest: str) -> tuple[int, int]:
    """Stores the next version of a report; answers its id and version. The organization is locked by the caller."""
    s = t.stored_reports.c
    newest = select(func.coalesce(func.max(s.version), 0)).where(s.organization_id == organization_id, *_is(key))
    version = int(tx.execute(newest).scalar_one()) + 1
    row = {
        "organization_id": organization_id,
        "kind": key.kind,
        "scope": key.scope,
        "scope_id": key.scope_id,
        "first": key.first,
        "last": key.last,
        "version": version,
        "as_of": as_of,
        "inputs": inputs,
        "digest": digest,
    }
    return insert_one(tx, t.stored_reports, row), version


def get_report(tx: Tx, organization_id: int, report_id: int) -> Row[Any] | None:
    """A report with its inputs. None: none of this organization."""
    s = t.stored_reports.c
    return tx.execute(select(t.stored_reports).where(s.organization_id == organization_id, s.id == report_id)).first()


def list_reports(
    tx: Tx,
    organization_id: int,
    *,
    kind: str | None = None,
    scope: str | None = None,
    scope_id: int | None = None,
    days: tuple[date, date] | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Reports without their inputs, the newest first, from the one after the id `before`; `days` are first and last."""
    s = t.stored_reports.c
    where: list[ColumnElement[bool]] = [s.organization_id == organization_id]
    first, last = days or (None, None)
    given = ((s.kind, kind), (s.scope, scope), (s.scope_id, scope_id), (s.first, first), (s.last, last))
    for column, value in given:
        if value is not None:
            where.append(column == value)
    if before is not None:
        where.append(s.id < before)
    return tx.execute(select(*_head).where(*where).order_by(s.id.desc()).limit(limit)).all()


def previous_report(tx: Tx, organization_id: int, report: Row[Any]) -> Row[Any] | None:
    """The version before, else the newest earlier one of its kind and scope. None: it is the first."""
    s = t.stored_reports.c
    query = (
        select(t.stored_reports)
        .where(
            s.organization_id == organization_id,
            s.kind == report.kind,
            s.scope == report.scope,
            s.scope_id == report.scope_id,
            s.id < report.id,
            s.last <= report.last,
        )
        .order_by(s.last.desc(), s.first.desc(), s.id.desc())
    )
    return tx.execute(query.limit(1)).first()


def stored_keys(tx: Tx, organization_id: int, kind: str, first: date, last: date) -> set[tuple[str, int]]:
    """(scope, scope id) of which there is a report of these days."""
    s = t.stored_reports.c
    query = select(s.scope, s.scope_id).where(
        s.organization_id == organization_id, s.kind == kind, s.first == first, s.last == last
    )
    return {(row[0], row[1]) for row in tx.execute(query)}


def latest_of(tx: Tx, organization_id: int, kind: str, scope: str, first: date, last: date) -> dict[int, int]:
    """The newest report of each team or repository of these days: scope id → report id."""
    s = t.stored_reports.c
    query = (
        select(s.scope_id, func.max(s.id))
        .where(
            s.organization_id == organization_id,
            s.kind == kind,
            s.scope == scope,
            s.first == first,
            s.last == last,
        )
        .group_by(s.scope_id)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def forget_reports(tx: Tx, organization_id: int, kind: str, before: date) -> int:
    """Removes reports of a kind whose days ended before this one; answers how many."""
    s = t.stored_reports.c
    gone = delete(t.stored_reports).where(s.organization_id == organization_id, s.kind == kind, s.last < before)
    return tx.execute(gone).rowcount


def _is(key: Key) -> list[ColumnElement[bool]]:
    s = t.stored_reports.c
    names = ("kind", "scope", "scope_id", "first", "last")
    return [tuple_(*(s[name] for name in names)) == tuple_(*(getattr(key, name) for name in names))]


def models_used(tx: Tx, organization_id: int, window: Window, before: Window, filters: Filters) -> list[ModelUse]:
    """Runs and cost of each model in a window and in the one directly before it, the dearest first."""
    d = t.rollup_day.c
    now = d.day >= window.start

    def sums(column: ColumnElement[int], condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, column), else_=0))

    query = (
        select(
            d.provider,
            d.model,
            sums(d.runs, now),
            sums(d.cost_nanos, now),
            sums(d.runs, ~now),
            sums(d.cost_nanos, ~now),
        )
        .where(d.organization_id == organization_id, d.day.between(before.start, window.end))
        .group_by(d.provider, d.model)
    )
    for column, value in ((d.team_id, filters.team_id), (d.repository_id, filters.repository_id)):
        if value is not None:
            query = query.where(column == value)
    found = [ModelUse(row[0], row[1], *(int(value) for value in row[2:])) for row in tx.execute(query)]
    return sorted((one for one in found if one.runs), key=lambda one: (-one.cost, one.provider, one.model))


def anything_in(tx: Tx, organization_id: int, window: Window) -> bool:
    """Whether a window has spend or pull requests that ended in it: without, there is nothing to report."""
    s, p = t.rollup_spend.c, t.pull_requests.c
    begin, end = bounds(window)
    return any(
        tx.execute(select(column).where(column_of == organization_id, *conditions).limit(1)).first()
        for column, column_of, conditions in (
            (s.day, s.organization_id, [s.cut == "whole", s.day.between(window.start, window.end)]),
            (p.id, p.organization_id, [p.merged_at >= begin, p.merged_at < end]),
            (p.id, p.organization_id, [p.closed_at >= begin, p.closed_at < end]),
        )
    )


def subscribe(tx: Tx, organization_id: int, team_id: int, member_id: int, at: datetime) -> None:
    """Has a team's weekly report sent to a member; once is enough."""
    row = {"organization_id": organization_id, "team_id": team_id, "member_id": member_id, "since": at}
    keep_first(tx, t.report_subscriptions, [row])


def unsubscribe(tx: Tx, organization_id: int, team_id: int, member_id: int) -> bool:
    """Ends that; answers whether it was so."""
    gone = delete(t.report_subscriptions).where(*_reads(organization_id, team_id, member_id))
    return tx.execute(gone).rowcount > 0


def is_subscribed(tx: Tx, organization_id: int, team_id: int, member_id: int) -> bool:
    """Whether a member gets a team's weekly report."""
    s = t.report_subscriptions.c
    found = tx.execute(select(s.member_id).where(*_reads(organization_id, team_id, member_id))).first()
    return found is not None


def _reads(organization_id: int, team_id: int, member_id: int) -> list[ColumnElement[bool]]:
    s = t.report_subscriptions.c
    return [s.organization_id == organization_id, s.team_id == team_id, s.member_id == member_id]


def subscribers(tx: Tx, organization_id: int) -> list[tuple[int, int, str]]:
    """(team, member, e-mail address) of everybody who gets a weekly report."""
    s, m = t.report_subscriptions.c, t.members.c
    query = (
        select(s.team_id, s.member_id, t.users.c.email)
        .select_from(t.report_subscriptions.join(t.members, m.id == s.member_id).join(t.users))
        .where(s.organization_id == organization_id)
        .order_by(s.team_id, t.users.c.email)
    )
    return [(row[0], row[1], row[2]) for row in tx.execute(query)]


def mails_of(tx: Tx, organization_id: int, report_id: int) -> dict[int, Row[Any]]:
    """E-mails of a report by member: those sent, and those that were tried."""
    m = t.report_mails.c
    query = select(t.report_mails).where(m.organization_id == organization_id, m.report_id == report_id)
    return {row.member_id: row for row in tx.execute(query)}


def note_mail(
    tx: Tx, organization_id: int, report_id: int, member_id: int, *, tries: int, at: datetime, error: str | None
) -> None:
    """Keeps what came of an e-mail. error None: it was taken."""
    values = {"tries": tries, "tried_at": at, "sent_at": None if error else at, "error": error}
    m = t.report_mails.c
    changed = tx.execute(
        update(t.report_mails)
        .where(m.organization_id == organization_id, m.report_id == report_id, m.member_id == member_id)
        .values(**values)
    )
    if not changed.rowcount:
        row = {"organization_id": organization_id, "report_id": report_id, "member_id": member_id}
        tx.execute(insert(t.report_mails).values(row | values))
