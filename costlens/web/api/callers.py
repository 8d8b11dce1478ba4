"""Who calls, where that must be a member: a personal key acts as its member, with the rights of the member's role."""

from __future__ import annotations

from costlens.domain.access import Member
from costlens.services import acting
from costlens.web.auth import require_key
from costlens.web.context import context


def looking(permission: str) -> Member:
    """The member of a personal key with the scope read. Raises Unauthorized, Forbidden, RateLimited."""
    who = acting.holder(context().store, require_key("read"))
    who.must(permission)
    return who


def changing(permission: str) -> Member:
    """The member of a personal key with the scope admin that is bound to nothing. Raises the same."""
    who = acting.keeper(context().store, require_key("admin"))
    who.must(permission)
    return who
