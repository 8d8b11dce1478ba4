"""Invitations, and the GitHub organizations whose members need none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, select, update

from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.upsert import insert_one, keep_first


def add_invitation(tx: Tx, values: dict[str, Any]) -> int:
    """Inserts an invitation and answers its id."""
    return insert_one(tx, t.invitations, values)


def _query() -> Select[Any]:
    return (
        select(
            t.invitations,
            t.organizations.c.name.label("organization"),
            t.organizations.c.slug,
            t.teams.c.name.label("team"),
        )
        .join(t.organizations, t.organizations.c.id == t.invitations.c.organization_id)
        .outerjoin(t.teams, t.teams.c.id == t.invitations.c.team_id)
    )


def get_invitation(tx: Tx, invitation_id: int, *, lock: bool = False) -> Row[Any] | None:
    """An invitation with its organization and team. None: there is none. `lock`: others who use it wait."""
    if lock:
        mine = t.invitations.c.id == invitation_id
        tx.execute(select(t.invitations.c.id).where(mine).with_for_update())
    return tx.execute(_query().where(t.invitations.c.id == invitation_id)).first()


def open_invitation(tx: Tx, organization_id: int, email: str) -> Row[Any] | None:
    """The invitation of an address that is neither accepted nor revoked, though it may be too old. None: none."""
    one = t.invitations.c
    return tx.execute(
        _query().where(
            one.organization_id == organization_id,
            one.email == email,
            one.accepted_at.is_(None),
            one.revoked_at.is_(None),
        )
    ).first()


def list_open(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """The invitations of an organization that are neither accepted nor revoked, by address."""
    one = t.invitations.c
    return tx.execute(
        _query()
        .where(one.organization_id == organization_id, one.accepted_at.is_(None), one.revoked_at.is_(None))
        .order_by(one.email)
    ).all()


def change_invitation(tx: Tx, invitation_id: int, values: dict[str, Any]) -> None:
    """Sets these columns of an invitation."""
    tx.execute(update(t.invitations).where(t.invitations.c.id == invitation_id).values(**values))


def allowed_organizations(tx: Tx, organization_id: int | None = None) -> Sequence[Row[Any]]:
    """GitHub organizations whose members may come, of one organization or of all, by login."""
    allowed = t.github_organizations.c
    query = select(t.github_organizations).order_by(allowed.login, allowed.organization_id)
    if organization_id is not None:
        query = query.where(allowed.organization_id == organization_id)
    return tx.execute(query).all()


def allow_organization(tx: Tx, organization_id: int, login: str, added_by: str, now: datetime) -> None:
    """Lets the members of a GitHub organization come; once is enough."""
    values = {"organization_id": organization_id, "login": login, "added_by": added_by, "created_at": now}
    keep_first(tx, t.github_organizations, [values])


def disallow_organization(tx: Tx, organization_id: int, login: str) -> int:
    """The other way round; answers how many there were."""
    allowed = t.github_organizations.c
    return tx.execute(
        delete(t.github_organizations).where(allowed.organization_id == organization_id, allowed.login == login)
    ).rowcount


def pin_organization(tx: Tx, login: str, github_id: int) -> None:
    """Notes GitHub's number of an organization where none is known: its login may be somebody else's one day."""
    allowed = t.github_organizations.c
    tx.execute(
        update(t.github_organizations)
        .where(allowed.login == login, allowed.github_id.is_(None))
        .values(github_id=github_id)
    )


def join_teams(tx: Tx, member_id: int, teams: Iterable[int]) -> None:
    """Makes a member one of these teams."""
    for team_id in teams:
        keep_first(tx, t.team_members, [{"team_id": team_id, "member_id": member_id}])


def is_member(tx: Tx, organization_id: int, user_id: int) -> bool:
    """Whether a user is a member of an organization."""
    member = t.members.c
    query = select(member.id).where(member.organization_id == organization_id, member.user_id == user_id)
    return tx.scalar(query) is not None
