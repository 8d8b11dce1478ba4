"""What people said of people: pairs that are not the same human."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from costlens.store.tables.base import metadata, organization_column
from costlens.store.types import Instant

# No suggestion names such a pair again, and no fact of GitHub merges it.
people_apart = Table(
    "people_apart",
    metadata,
    Column("first_id", BigInteger, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),  # the smaller id
    Column("second_id", BigInteger, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    organization_column(),
    Column("decided_by", Text, nullable=False),  # an e-mail address, or `key NAME`
    Column("decided_at", Instant, nullable=False),
    Index(None, "organization_id"),
    Index(None, "second_id"),
)
