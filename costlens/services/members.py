"""Members of an organization: who they are, which role they have, and how they go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from costlens.domain.access import ROLES, Member, check_role
from costlens.domain.errors import Conflict, NotFound
from costlens.services.acting import acting, note
from costlens.services.keys import forget_trusted
from costlens.store import keys as key_store
from costlens.store import members as member_store
from costlens.store.engine import Store
from costlens.store.teams import teams_of_members


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One line of the list of members."""

    id: int
    email: str
    name: str | None  # None: not told
    github_login: str | None  # None: never signed in with GitHub
    role: str
    teams: tuple[str, ...]
    joined_at: datetime
    seen_at: datetime | None  # None: has not signed in, or every session has ended


def list_members(store: Store, organization_id: int) -> Sequence[MemberLine]:
    """Members of an organization, owners first, each with the names of the teams."""
    with store.read() as tx:
        rows = member_store.list_members(tx, organization_id)
        teams: dict[int, list[str]] = defaultdict(list)
        for member_id, _, name in teams_of_members(tx, organization_id):
            teams[member_id].append(name)
    rows = sorted(rows, key=lambda row: (ROLES.index(row.role), row.email))
    return [
        MemberLine(
            id=row.id,
            email=row.email,
            name=row.name,
            github_login=row.github_login,
            role=row.role,
            teams=tuple(teams[row.id]),
            joined_at=row.created_at,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


def change_role(store: Store, by: Member, member_id: int, role: str, *, now: datetime | None = None) -> str:
    """Gives a member another role and answers the e-mail address; it holds with the member's next request.

    Raises Forbidden, NotFound, InvalidInput, or Conflict for the last owner.
    """
    at = now or datetime.now(UTC)
    check_role(role)
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_people")
        row = member_store.get_member(tx, by.organization_id, member_id)
        if row is None:
            raise NotFound("No such member")
        if "owner" in (role, row.role):
            who.must("manage_owners")
        if row.role == role:
            return str(row.email)
        if row.role == "owner" and member_store.count_owners(tx, by.organization_id) == 1:
            raise Conflict("The last owner stays owner: make somebody else an owner first")
        member_store.set_role(tx, by.organization_id, member_id, role)
        note(tx, who, at, "member.role_changed", row.email, before=row.role, after=role)
    forget_trusted(store)  # a personal key does no more than its member
    return str(row.email)


def remove_member(store: Store, by: Member, member_id: int, *, now: datetime | None = None) -> str:
    """Removes a member, or lets one leave, and revokes the member's keys; answers the e-mail address.

    Runs keep the person. Raises Forbidden, NotFound, or Conflict for the last owner.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        who = acting(tx, by)
        row = member_store.get_member(tx, by.organization_id, member_id)
        who.must("leave" if member_id == by.member_id else "manage_people")
        if row is None:
            raise NotFound("No such member")
        if row.role == "owner":
            who.must("manage_owners")
            if member_store.count_owners(tx, by.organization_id) == 1:
                raise Conflict("The last owner cannot leave: make somebody else an owner first")
        keys = key_store.take_from_member(tx, by.organization_id, member_id, at)
        member_store.delete_member(tx, by.organization_id, member_id)
        action = "member.left" if member_id == by.member_id else "member.removed"
        note(tx, who, at, action, row.email, role=row.role, revokedKeys=keys)
    forget_trusted(store)
    return str(row.email)
