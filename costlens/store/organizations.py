"""Organizations with their users, members, teams and keys."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, insert, select, update

from costlens.domain.access import scopes_of
from costlens.store import tables as t
from costlens.store.engine import Tx
from costlens.store.lookups import look_up
from costlens.store.upsert import insert_one, keep_first


@dataclass(frozen=True, slots=True)
class Organization:
    id: int
    name: str
    slug: str
    plan: str
    timezone: str
    hourly_cost_cents: int | None  # None: not set
    demo: bool


@dataclass(frozen=True, slots=True)
class User:
    id: int
    email: str
    name: str | None  # None: not told yet
    session_version: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key with the organization it speaks for."""

    id: int
    organization: Organization
    name: str
    member_id: int | None  # None: a shared key
    person_id: int | None  # None: a shared key, or a member without commits or runs yet
    member_email: str | None  # None: a shared key
    team_id: int | None  # None: not bound to a team
    purpose: str | None  # None: development
    scopes: frozenset[str]
    expires_at: datetime | None  # None: never
    revoked_at: datetime | None  # None: valid
    paused_at: datetime | None  # None: not paused
    repository: str | None  # owner/name of runs that name none. None: not bound to a repository


_COLUMNS = ("id", "name", "slug", "plan", "timezone", "hourly_cost_cents", "demo")
organization_columns = [t.organizations.c[name] for name in _COLUMNS]


def read_organization(row: Any) -> Organization:
    """The organization in a row that has `organization_columns`."""
    return Organization(*(row._mapping[t.organizations.c[name]] for name in _COLUMNS))


def create_organization(tx: Tx, values: dict[str, Any]) -> int:
    """Inserts an organization and answers its id."""
    return insert_one(tx, t.organizations, values)


def get_organization(tx: Tx, organization_id: int) -> Organization | None:
    """An organization by id. None: there is none."""
    row = tx.execute(select(*organization_columns).where(t.organizations.c.id == organization_id)).first()
    return read_organization(row) if row else None


def find_organization(tx: Tx, text: str) -> Organization | None:
    """By slug or by name."""
    query = select(*organization_columns).where((t.organizations.c.slug == text) | (t.organizations.c.name == text))
    row = tx.execute(query.order_by(t.organizations.c.id)).first()
    return read_organization(row) if row else None


def list_organizations(tx: Tx, user_id: int | None = None) -> list[Organization]:
    """All, or those of one user; oldest first."""
    query = select(*organization_columns).order_by(t.organizations.c.id)
    if user_id is not None:
        query = query.join(t.members).where(t.members.c.user_id == user_id)
    return [read_organization(row) for row in tx.execute(query)]


def list_demos(tx: Tx, owner_id: int | None = None) -> list[Organization]:
    """Demo organizations: all, or those that a user owns."""
    query = select(*organization_columns).where(t.organizations.c.demo).order_by(t.organizations.c.id)
    if owner_id is not None:
        query = query.join(t.members).where(t.members.c.user_id == owner_id, t.members.c.role == "owner")
    return [read_organization(row) for row in tx.execute(query)]


def change_organization(tx: Tx, organization_id: int, values: dict[str, Any]) -> None:
    """Sets these columns of an organization."""
    tx.execute(update(t.organizations).where(t.organizations.c.id == organization_id).values(**values))


def delete_organization(tx: Tx, organization_id: int) -> None:
    """Removes it with everything of it."""
    for table in reversed(t.metadata.sorted_tables):
        if "organization_id" in table.c:
            tx.execute(table.delete().where(table.c.organization_id == organization_id))
    tx.execute(t.organizations.delete().where(t.organizations.c.id == organization_id))


def has_runs(tx: Tx, organization_id: int) -> bool:
    """Whether an organization has any run."""
    return tx.scalar(select(t.runs.c.id).where(t.runs.c.organization_id == organization_id).limit(1)) is not None


def slug_taken(tx: Tx, slug: str) -> bool:
    """Whether an organization has this slug."""
    return tx.scalar(select(t.organizations.c.id).where(t.organizations.c.slug == slug)) is not None


def find_user(tx: Tx, email: str) -> User | None:
    """An account by its e-mail address, in any case of letters. None: there is none."""
    row = tx.execute(select(t.users).where(t.users.c.email == email.lower())).first()
    return User(row.id, row.email, row.name, row.session_version) if row else None


def get_user(tx: Tx, user_id: int) -> User | None:
    """An account by id. None: there is none."""
    row = tx.execute(select(t.users).where(t.users.c.id == user_id)).first()
    return User(row.id, row.email, row.name, row.session_version) if row else None


def create_user(tx: Tx, email: str, now: datetime) -> int:
    """Inserts an account, its address in small letters, and answers its id."""
    return insert_one(tx, t.users, {"email": email.lower(), "created_at": now})


def owner_exists(tx: Tx) -> bool:
    """Whether any organization has an owner."""
    return tx.scalar(select(func.count()).select_from(t.members).where(t.members.c.role == "owner")) != 0


def create_member(tx: Tx, values: dict[str, Any]) -> int:
    """Inserts a member of an organization and answers the id."""
    return insert_one(tx, t.members, values)


def find_member(tx: Tx, organization_id: int, email: str) -> Row[Any] | None:
    """The member with this e-mail address. None: there is none."""
    return tx.execute(
        select(t.members)
        .join(t.users)
        .where(t.members.c.organization_id == organization_id, t.users.c.email == email.lower())
    ).first()


def role_of(tx: Tx, organization_id: int, user_id: int) -> str | None:
    """A user's role in an organization: owner, admin or member. None: not a member."""
    member = t.members.c
    return tx.scalar(select(member.role).where(member.organization_id == organization_id, member.user_id == user_id))


def create_team(tx: Tx, values: dict[str, Any]) -> int:
    """Inserts a team and answers its id."""
    return insert_one(tx, t.teams, values)


def list_teams(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """Teams of an organization by name."""
    return tx.execute(
        select(t.teams).where(t.teams.c.organization_id == organization_id).order_by(t.teams.c.name)
    ).all()


def join_team(tx: Tx, team_id: int, member_id: int) -> None:
    """Makes a member one of a team; once is enough."""
    keep_first(tx, t.team_members, [{"team_id": team_id, "member_id": member_id}])


def create_key(tx: Tx, values: dict[str, Any]) -> int:
    """Inserts an API key, of which only the hash is known here, and answers its id."""
    return insert_one(tx, t.api_keys, values)


def find_key(tx: Tx, key_hash: bytes) -> KeyRow | None:
    """The key of this SHA-256, valid or not."""
    row = tx.execute(_key_query(), {"hash": key_hash}).first()
    if row is None:
        return None
    scopes = frozenset(row.scopes.split())
    return KeyRow(
        id=row.id,
        organization=Organization(*(row._mapping[f"o_{name}"] for name in _COLUMNS)),
        name=row.name,
        member_id=row.member_id,
        person_id=row.person_id,
        member_email=row.email,
        team_id=row.team_id,
        purpose=row.purpose,
        scopes=scopes & scopes_of(row.role) if row.role else scopes,  # a personal key never does more than its member
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        paused_at=row.paused_at,
        repository=row.repository,
    )


@functools.cache  # as every process asks for each key in use once or twice a second
def _key_query() -> Select[Any]:
    key = t.api_keys.c
    return (
        select(
            t.api_keys,
            t.members.c.person_id,
            t.members.c.role,
            t.users.c.email,
            t.repositories.c.name.label("repository"),
            *(c.label(f"o_{c.name}") for c in organization_columns),
        )
        .join(t.organizations, t.organizations.c.id == key.organization_id)
        .outerjoin(t.repositories, t.repositories.c.id == key.repository_id)
        .outerjoin(t.members, t.members.c.id == key.member_id)
        .outerjoin(t.users, t.users.c.id == t.members.c.user_id)
        .where(key.key_hash == bindparam("hash"))
    )


def key_id(tx: Tx, organization_id: int, prefix: str) -> int | None:
    """The key that begins like this, valid or not. None: there is none."""
    key = t.api_keys.c
    query = select(key.id).where(key.organization_id == organization_id, key.prefix == prefix)
    return tx.scalar(query.order_by(key.id).limit(1))


def valid_key_name(tx: Tx, organization_id: int) -> str | None:
    """The name of the oldest key that is not revoked. None: there is none."""
    key = t.api_keys.c
    query = select(key.name).where(key.organization_id == organization_id, key.revoked_at.is_(None))
    return tx.scalar(query.order_by(key.id).limit(1))


def touch_key(tx: Tx, key_id: int, now: datetime) -> None:
    """Notes when a key was last used."""
    tx.execute(update(t.api_keys).where(t.api_keys.c.id == key_id).values(last_used_at=now))


def revoke_keys(tx: Tx, organization_id: int, prefix: str, now: datetime) -> int:
    """Revokes the valid keys that begin like this; answers how many."""
    key = t.api_keys.c
    return tx.execute(
        update(t.api_keys)
        .where(key.organization_id == organization_id, key.prefix == prefix, key.revoked_at.is_(None))
        .values(revoked_at=now)
    ).rowcount


def add_audit(
    tx: Tx, organization_id: int, *, at: datetime, actor: str, action: str, subject: str, details: dict[str, Any]
) -> None:
    """Adds an entry to the audit log; entries are never changed."""
    tx.execute(
        insert(t.audit_entries).values(
            organization_id=organization_id, at=at, actor=actor, action=action, subject=subject, details=details
        )
    )


def price_overrides(tx: Tx, organization_id: int) -> Sequence[Row[Any]]:
    """An organization's own prices by the date from which they hold."""
    if not look_up(tx, _any_override, organization=organization_id):
        return ()  # most have none, and every ingest asks
    return tx.execute(_overrides_query(), {"organization": organization_id}).all()


def _any_override() -> Select[Any]:
    column = t.price_overrides.c
    return select(column.id).where(column.organization_id == bindparam("organization")).limit(1)


@functools.cache
def _overrides_query() -> Select[Any]:
    column = t.price_overrides.c
    return (
        select(t.price_overrides)
        .where(column.organization_id == bindparam("organization"))
        .order_by(column.effective_from)
    )
