"""What the API keeps beside the ledger: routing and providers, feedback, answers of repeated requests."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

# One row an organization that changed something; without one the defaults hold.
routing_settings = Table(
    "routing_settings",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("routing_enabled", Boolean, nullable=False),
    Column("enforce_model", Boolean, nullable=False),
    Column("cache_enabled", Boolean, nullable=False),
    Column("quality_enabled", Boolean, nullable=False),
    Column("quality_threshold", Float, nullable=False),  # 0 to 1
    Column("quality_metrics", JSON, nullable=False),
)


provider_configs = Table(
    "provider_configs",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("provider", Text, nullable=False),
    Column("model", Text),  # null: any of the provider's
    Column("weight", Float, nullable=False),  # 0 to 100
    Column("min_quality", Float, nullable=False),  # 0 to 1
    Column("enforce_model", Boolean, nullable=False),
    Column("routing_strategy", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
)


provider_keys = Table(
    "provider_keys",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("provider", Text, nullable=False),
    Column("sealed", Text, nullable=False),  # see services/sealing.py
    Column("last_four", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant),  # null: never used
    UniqueConstraint("organization_id", "provider"),
)


quality_feedback = Table(
    "quality_feedback",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("at", Instant, nullable=False),
    Column("run_id", BigInteger),  # null: about a choice of models, not about one run
    Column("provider", Text),  # null: the run is not known
    Column("original_model", Text),  # null: not told
    Column("selected_model", Text),  # null: not told, and no run is known
    Column("score", Float),  # 0 to 1. null: only told whether it helped
    Column("helpful", Boolean),  # null: not told
    Column("comment", Text),  # null: none
    Index(None, "organization_id", "at"),
)


# The first answer to each Idempotency-Key, for a day.
idempotent_answers = Table(
    "idempotent_answers",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of method, path and body
    Column("started_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("status", Integer),  # null: the first request is under way, or its server was lost
    Column("content_type", Text),  # null: as status
    Column("body", LargeBinary),  # null: as status
    Index(None, "organization_id", "expires_at"),
)
