"""Members of organizations with their roles, accounts and teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from costlens.domain.access import Member
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.organizations import Organization, organization_columns, read_organization


def member_of(tx: Tx, user_id: int, slug: str) -> tuple[Organization, Member] | None:
    """An organization and who this user is in it. None: there is none, or the user is not a member."""
    member = t.members.c
    row = tx.execute(
        select(*organization_columns, member.id.label("member_id"), member.role, t.users.c.email)
        .join(t.members, member.organization_id == t.organizations.c.id)
        .join(t.users, t.users.c.id == member.user_id)
        .where(t.organizations.c.slug == slug, member.user_id == user_id)
    ).first()
    if row is None:
        return None
    organization = read_organization(row)
    return organization, Member(organization.id, row.member_id, user_id, row.email, row.role)


def list_members(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """Members with e-mail, name, GitHub login, and the last use of any session of theirs; by role and e-mail."""
    member, user, session = t.members.c, t.users.c, t.sessions.c
    seen = select(session.user_id, func.max(session.seen_at).label("seen_at")).group_by(session.user_id).subquery()
    return tx.execute(
        select(member.id, member.user_id, member.role, member.person_id, member.created_at)
        .add_columns(user.email, user.name, user.github_login, seen.c.seen_at)
        .join(t.users, user.id == member.user_id)
        .outerjoin(seen, seen.c.user_id == user.id)
        .where(member.organization_id == organization_id)
        .order_by(user.email)
    ).all()


def get_member(tx: Tx, organization_id: int, member_id: int) -> Row[Any] | None:
    """A member with the account's e-mail address. None: not of this organization."""
    member = t.members.c
    return tx.execute(
        select(t.members, t.users.c.email)
        .join(t.users, t.users.c.id == member.user_id)
        .where(member.organization_id == organization_id, member.id == member_id)
    ).first()


def lock_organization(tx: Tx, organization_id: int) -> None:
    """Of several transactions that change an organization's people, the others wait until this one is done."""
    column = t.organizations.c.id
    tx.execute(select(column).where(column == organization_id).with_for_update(key_share=True))


def count_owners(tx: Tx, organization_id: int) -> int:
    """How many owners an organization has."""
    member = t.members.c
    query = select(func.count()).where(member.organization_id == organization_id, member.role == "owner")
    return int(tx.scalar(query) or 0)


def set_role(tx: Tx, organization_id: int, member_id: int, role: str) -> None:
    """Gives a member this role."""
    member = t.members.c
    tx.execute(
        update(t.members).where(member.organization_id == organization_id, member.id == member_id).values(role=role)
    )


def delete_member(tx: Tx, organization_id: int, member_id: int) -> None:
    """Removes a member, who leaves every team; keys must have been taken from it before."""
    member = t.members.c
    tx.execute(delete(t.members).where(member.organization_id == organization_id, member.id == member_id))


def other_organizations(tx: Tx, organization_id: int, user_id: int) -> int:
    """In how many other organizations a user is a member."""
    member = t.members.c
    query = select(func.count()).where(member.organization_id != organization_id, member.user_id == user_id)
    return int(tx.scalar(query) or 0)
