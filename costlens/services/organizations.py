"""Organizations, their people's accounts and teams, and the links that sign in."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from costlens.domain.errors import Conflict, InvalidInput, NotFound
from costlens.domain.names import slug
from costlens.services.keys import forget_trusted, new_key
from costlens.services.sessions import hash_of
from costlens.store import organizations as org_store
from costlens.store import sessions as session_store
from costlens.store.engine import Store, Tx
from costlens.store.organizations import Organization, User
from costlens.store.rollup_check import set_check

SIGN_IN_LIFE = timedelta(hours=1)
_EMAIL = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")


@dataclass(frozen=True, slots=True)
class Created:
    organization: Organization
    api_key: str
    sign_in_token: str


def create_organization(
    store: Store,
    name: str,
    owner_email: str,
    *,
    plan: str,
    hourly_cost_cents: int | None = None,
    timezone: str = "UTC",
    demo: bool = False,
    now: datetime | None = None,
) -> Created:
    """An organization with its owner, a personal key of the owner, and a link that signs the owner in once.

    Raises InvalidInput, or Conflict when the name is taken.
    """
    at = now or datetime.now(UTC)
    check_timezone(timezone)
    if "\0" in name:
        raise InvalidInput("The name must not hold a NUL character", field="name")  # PostgreSQL cannot store it
    with store.write() as tx:
        if org_store.slug_taken(tx, slug(name)):
            raise Conflict(f"An organization named {name!r} exists already", field="name")
        values = {
            "name": name,
            "slug": slug(name),
            "plan": plan,
            "timezone": timezone,
            "hourly_cost_cents": hourly_cost_cents,
            "demo": demo,
            "created_at": at,
        }
        organization_id = org_store.create_organization(tx, values)
        user_id = ensure_user(tx, owner_email, at)
        member = {"organization_id": organization_id, "user_id": user_id, "role": "owner", "created_at": at}
        member_id = org_store.create_member(tx, member)
        key = new_key(tx, organization_id, "First key", now=at, member_id=member_id)
        token = _new_link(tx, user_id, at)
        org_store.add_audit(
            tx, organization_id, at=at, actor=owner_email, action="organization.created", subject=name, details={}
        )
        organization = org_store.get_organization(tx, organization_id)
    if organization is None:
        raise NotFound("The organization is gone")
    return Created(organization, key, token)


def ensure_user(tx: Tx, email: str, now: datetime) -> int:
    """Id of the account of an e-mail address, made when new. Raises InvalidInput."""
    if not _EMAIL.match(email) or len(email) > 254:
        raise InvalidInput(f"{email!r} is not an e-mail address", field="email")
    user = org_store.find_user(tx, email)
    return user.id if user else org_store.create_user(tx, email, now)


def account(store: Store, user_id: int) -> User:
    """An account by id. Raises NotFound."""
    with store.read() as tx:
        user = org_store.get_user(tx, user_id)
    if user is None:
        raise NotFound("The account is gone")
    return user


def set_organization(store: Store, name: str, changes: dict[str, Any], *, now: datetime | None = None) -> Organization:
    """Changes hourly_cost_cents, timezone or plan. Raises NotFound, InvalidInput.

    Days of rollups are cut in the time zone: after it changed the caller rebuilds them, else the nightly check does.
    """
    at = now or datetime.now(UTC)
    with store.write() as tx:
        organization = org_store.find_organization(tx, name)
        if organization is None:
            raise NotFound(f"No organization named {name!r}")
        if "timezone" in changes and changes["timezone"] != organization.timezone:
            check_timezone(changes["timezone"])
            set_check(tx, organization.id, {"rebuild_due": True})
        if changes:
            org_store.change_organization(tx, organization.id, changes)
            org_store.add_audit(
                tx,
                organization.id,
                at=at,
                actor="console",
                action="organization.changed",
                subject=name,
                details=changes,
            )
        changed = org_store.get_organization(tx, organization.id)
    forget_trusted(store)  # a key carries its organization's zone and plan
    return changed or organization


def create_team(store: Store, organization_id: int, name: str, *, now: datetime | None = None) -> int:
    """Makes a team and answers its id."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        values = {"organization_id": organization_id, "name": name, "slug": slug(name), "created_at": at}
        return org_store.create_team(tx, values)


def check_timezone(name: str) -> None:
    """Raises InvalidInput for a name that the time zone database does not have."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(f"{name!r} is not a time zone, such as Europe/Berlin", field="timezone") from error


def sign_in_link(store: Store, email: str, *, now: datetime | None = None) -> str:
    """A token that signs an existing account in once, within an hour. Raises NotFound."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        user = org_store.find_user(tx, email)
        if user is None:
            raise NotFound(f"No account with the address {email}")
        return _new_link(tx, user.id, at)


def _new_link(tx: Tx, user_id: int, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    session_store.add_link(tx, hash_of(token), user_id, now + SIGN_IN_LIFE, "sign_in")
    return token


def use_sign_in_link(store: Store, token: str, *, now: datetime | None = None) -> User | None:
    """The account of a link, once. None: unknown, used or expired."""
    at = now or datetime.now(UTC)
    with store.write() as tx:
        user_id = session_store.use_link(tx, hash_of(token), "sign_in", at)
        return org_store.get_user(tx, user_id) if user_id is not None else None


def owner_exists(store: Store) -> bool:
    """Whether any organization has an owner, so that the set-up link opens nothing more."""
    with store.read() as tx:
        return org_store.owner_exists(tx)
