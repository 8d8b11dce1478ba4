"""Changes that a member makes: checked against the role of this moment, and written to the audit log."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from costlens.domain.access import Member
from costlens.domain.errors import Forbidden, InvalidInput
from costlens.store import organizations as org_store
from costlens.store.engine import Store, Tx
from costlens.store.members import get_member, lock_organization
from costlens.store.organizations import KeyRow


def acting(tx: Tx, by: Member) -> Member:
    """The member as it is now; others who change this organization wait. Raises Forbidden for one who left."""
    lock_organization(tx, by.organization_id)
    return as_now(tx, by)


def as_now(tx: Tx, by: Member) -> Member:
    """The same, and nobody waits."""
    row = get_member(tx, by.organization_id, by.member_id)
    if row is None:
        raise Forbidden("You are no longer a member of this organization")
    return replace(by, email=row.email, role=row.role)


def holder(store: Store, key: KeyRow) -> Member:
    """The member whose personal key this is, as the one who does something. Raises Forbidden for a shared key."""
    if key.member_id is None:
        raise Forbidden("This takes the personal key of a member; this key is shared")
    with store.read() as tx:
        row = get_member(tx, key.organization.id, key.member_id)
    if row is None:
        raise Forbidden("You are no longer a member of this organization")
    return Member(key.organization.id, row.id, row.user_id, row.email, row.role, key.name)


def keeper(store: Store, key: KeyRow) -> Member:
    """The same for what changes people, teams and keys: a key bound to a team, repository or purpose is a program's.

    Raises Forbidden.
    """
    who = holder(store, key)
    if key.team_id is not None or key.repository is not None or key.purpose is not None:
        raise Forbidden("This takes a personal key that is not bound to a team, a repository or a purpose")
    return who


def note(tx: Tx, by: Member, at: datetime, action: str, subject: str, **details: Any) -> None:
    """Adds what this member did to the audit log, with the API key that it was done with."""
    if by.key is not None:
        details["apiKey"] = by.key
    org_store.add_audit(tx, by.organization_id, at=at, actor=by.email, action=action, subject=subject, details=details)


def checked_name(text: str, what: str, *, longest: int = 80) -> str:
    """A name from outside, without spaces around. Raises InvalidInput (field `name`)."""
    name = " ".join(text.split())
    if not name or len(name) > longest or not name.isprintable():
        raise InvalidInput(f"{what}: a name has 1 to {longest} characters", field="name")
    return name


def checked_hourly_cost(text: str) -> int | None:
    """Cents from dollars an hour as people write them; None for nothing. Raises InvalidInput (field `hourly_cost`)."""
    plain = text.strip().lstrip("$").replace(",", "")
    if not plain:
        return None
    whole, _, part = plain.partition(".")
    if not whole.isascii() or not whole.isdecimal() or not ((part.isascii() and part.isdecimal()) or not part):
        raise InvalidInput("An hourly cost is an amount in dollars such as 95 or 87.50", field="hourly_cost")
    if len(part) > 2 or len(whole) > 6:
        raise InvalidInput("An hourly cost is less than a million dollars, with whole cents", field="hourly_cost")
    return int(whole) * 100 + int(part.ljust(2, "0"))
