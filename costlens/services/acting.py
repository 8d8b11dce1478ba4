"""Changes that a member makes: checked against the role of this moment, and written to the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from costlens.domain.access import Member
from costlens.domain.errors import Forbidden, InvalidInput
from costlens.store import organizations as org_store
from costlens.store.engine import Tx
from costlens.store.members import get_member, lock_organization


def acting(tx: Tx, by: Member) -> Member:
    """The member as it is now; others who change this organization wait. Raises Forbidden for one who left."""
    lock_organization(tx, by.organization_id)
    return as_now(tx, by)


def as_now(tx: Tx, by: Member) -> Member:
    """The same, and nobody waits."""
    row = get_member(tx, by.organization_id, by.member_id)
    if row is None:
        raise Forbidden("You are no longer a member of this organization")
    return Member(by.organization_id, by.member_id, by.user_id, row.email, row.role)


def note(tx: Tx, by: Member, at: datetime, action: str, subject: str, **details: Any) -> None:
    """Adds what this member did to the audit log."""
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
