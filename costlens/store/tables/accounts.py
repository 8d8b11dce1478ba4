"""Organizations, accounts, teams, keys, audit."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

organizations = Table(
    "organizations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False, unique=True),
    Column("plan", Text, nullable=False),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("hourly_cost_cents", BigInteger),  # null: not set, so no break-even is shown
    Column("demo", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Instant, nullable=False),
)


users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text),  # null: not told yet
    Column("session_version", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("password_hash", Text),  # null: none was chosen; argon2id
    Column("github_id", BigInteger),  # null: never signed in with GitHub
    Column("github_login", Text),  # null: never signed in with GitHub; as it was the last time
    Index("ix_users_github_id", "github_id", unique=True),
)


members = Table(
    "members",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False),
    Column("role", Text, nullable=False),  # owner, admin, member
    Column("person_id", BigInteger),  # null: no commits or runs of theirs are known yet
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("organization_id", "user_id"),
)


teams = Table(
    "teams",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("hourly_cost_cents", BigInteger),  # null: the organization's holds
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("organization_id", "slug"),
)


team_members = Table(
    "team_members",
    metadata,
    Column("team_id", BigInteger, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", BigInteger, ForeignKey("members.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "member_id"),
)


sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),  # SHA-256; the link itself is never stored
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),  # null: not used yet
    Column("purpose", Text, nullable=False, server_default="sign_in"),  # or reset: to choose a new password
)


api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # SHA-256
    Column("prefix", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("member_id", BigInteger, ForeignKey("members.id")),  # null: a shared key, no default person
    Column("team_id", BigInteger, ForeignKey("teams.id")),  # null: not bound to a team
    Column("purpose", Text),  # null: development; `production` makes its runs not code
    Column("scopes", Text, nullable=False, server_default="ingest read"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),  # null: never
    Column("revoked_at", Instant),  # null: valid
    Column("last_used_at", Instant),  # null: never used
    Column("repository_id", BigInteger),  # null: not bound; else the repository of runs that name none
    Column("paused_at", Instant),  # null: not paused
    Column("created_by", Text),  # null: made on the console; else an e-mail address
    Column("rotated_to", BigInteger),  # null: not replaced; else the key that takes its place
)


audit_entries = Table(
    "audit_entries",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "organization_id", "at"),
)
