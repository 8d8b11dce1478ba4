"""What is known of the sums themselves: when they were last compared with the runs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, Table, text

from costlens.store.tables.base import metadata
from costlens.store.types import Instant

rollup_checks = Table(
    "rollup_checks",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("checked_at", Instant),  # null: never yet
    Column("days", Integer, nullable=False, server_default="0"),  # compared by the last check
    Column("differing", Integer, nullable=False, server_default="0"),  # rows that were wrong then
    Column("repaired", Integer, nullable=False, server_default="0"),  # those of them that it put right
    # Counts repairs: one that was made from sums as they were before another repair must not be written.
    Column("repairs", BigInteger, nullable=False, server_default="0"),
    # true: the time zone changed and the days are not all cut anew
    Column("rebuild_due", Boolean, nullable=False, server_default=text("false")),
)
