"""An organization as its people change it: name, time zone and hourly cost, and its end."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from costlens.domain.access import Member
from costlens.domain.errors import InvalidInput, NotFound
from costlens.services.acting import acting, as_now, checked_hourly_cost, checked_name, note
from costlens.services.keys import forget_trusted
from costlens.services.organizations import Created, check_timezone, create_organization
from costlens.store import organizations as org_store
from costlens.store.engine import Store
from costlens.store.rollup_check import set_check

_log = logging.getLogger(__name__)


def change_organization(
    store: Store, by: Member, name: str, timezone: str, hourly_cost: str, *, now: datetime | None = None
) -> bool:
    """Sets name, time zone and hourly cost; answers whether days have to be cut anew, for another time zone.

    The slug, and so every address, stays. Raises Forbidden, InvalidInput.
    """
    at = now or datetime.now(UTC)
    name, cents = checked_name(name, "An organization", longest=100), checked_hourly_cost(hourly_cost)
    check_timezone(timezone)
    with store.write() as tx:
        who = acting(tx, by)
        who.must("manage_organization")
        before = org_store.get_organization(tx, by.organization_id)
        if before is None:
            raise NotFound("No such organization")
        after = {"name": name, "timezone": timezone, "hourly_cost_cents": cents}
        changed = {key: value for key, value in after.items() if getattr(before, key) != value}
        if changed:
            org_store.change_organization(tx, by.organization_id, changed)
            note(tx, who, at, "organization.changed", before.name, **changed)
        if "timezone" in changed:
            set_check(tx, by.organization_id, {"rebuild_due": True})
    forget_trusted(store)  # a key carries its organization's zone
    return "timezone" in changed


def new_organization(
    store: Store, by: Member, name: str, timezone: str, *, plan: str, now: datetime | None = None
) -> Created:
    """Another organization, of which this member is the owner. Raises Forbidden, InvalidInput, Conflict."""
    with store.read() as tx:
        as_now(tx, by).must("create_organization")
    name = checked_name(name, "An organization", longest=100)
    return create_organization(store, name, by.email, plan=plan, timezone=timezone or "UTC", now=now)


def delete_organization(store: Store, by: Member, typed: str) -> str:
    """Deletes an organization with everything of it, once its name is typed; answers the name.

    Its audit log goes with it: the server's own log keeps who did it. Raises Forbidden, InvalidInput.
    """
    with store.write() as tx:
        who = acting(tx, by)
        who.must("delete_organization")
        organization = org_store.get_organization(tx, by.organization_id)
        if organization is None:
            raise NotFound("No such organization")
        if typed.strip() != organization.name:
            raise InvalidInput(f"Type the name, {organization.name}, to delete it", field="name")
        org_store.delete_organization(tx, by.organization_id)
    forget_trusted(store)
    _log.warning("organization %s (%d) deleted by %s", organization.slug, organization.id, by.email)
    return organization.name
