"""Signing in and joining: sessions, attempts, invitations, and the GitHub organizations whose members may come."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),  # SHA-256; the cookie holds the token
    Column("user_id", BigInteger, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_version", Integer, nullable=False),  # of the user when it began; another one ends it
    Column("method", Text, nullable=False),  # link, password, github
    Column("address", Text),  # null: unknown
    Column("agent", Text),  # null: the browser did not say
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "user_id"),
)


# How often something that can be guessed was tried in a span of time.
attempts = Table(
    "attempts",
    metadata,
    Column("subject", Text, primary_key=True),  # what is counted: the hash of an account, an address, or both
    Column("span", BigInteger, primary_key=True, autoincrement=False),  # number of the quarter hour since 1970
    Column("count", Integer, nullable=False),
)


invitations = Table(
    "invitations",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("email", Text, nullable=False),  # lower case
    Column("role", Text, nullable=False),  # owner, admin, member
    Column("team_id", BigInteger, ForeignKey("teams.id", ondelete="SET NULL")),  # null: no team
    Column("invited_by", Text, nullable=False),  # e-mail address
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("sent_at", Instant),  # null: no e-mail went out, the link was copied
    Column("send_error", Text),  # null: the last e-mail went out, or none was tried
    Column("accepted_at", Instant),  # null: not yet
    Column("revoked_at", Instant),  # null: not revoked
    # One open invitation for an address.
    Index(
        "ix_invitations_open",
        "organization_id",
        "email",
        unique=True,
        sqlite_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
        postgresql_where=text("accepted_at IS NULL AND revoked_at IS NULL"),
    ),
)


github_organizations = Table(
    "github_organizations",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("login", Text, primary_key=True),  # lower case
    Column("github_id", BigInteger),  # null: nobody of it has come yet; then the login alone is no longer enough
    Column("added_by", Text, nullable=False),  # e-mail address
    Column("created_at", Instant, nullable=False),
)
