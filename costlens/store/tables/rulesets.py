"""Which rules of the linker an organization counts, and how well they have proved themselves there."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, Table, Text, UniqueConstraint

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

# A ruleset is compared with the links that hold before it may be applied; none is applied: version 1, as delivered.
link_rulesets = Table(
    "link_rulesets",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("version", Integer),  # null: not applied
    Column("threshold", Integer, nullable=False),  # permille
    Column("stances", JSON, nullable=False),  # by rule, where it differs from what the threshold says
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("runs_done", Integer, nullable=False, server_default="0"),  # of the comparison
    Column("runs_total", Integer, nullable=False, server_default="0"),
    Column("difference", JSON),  # what it would move, by repository; null: not compared yet
    Column("compared_at", Instant),  # null: not compared yet
    Column("problem", Text),  # null: the comparison has not failed
    Column("applied_by", Text),  # null: not applied
    Column("applied_at", Instant),  # null: not applied
    Column("dropped_at", Instant),  # null: not dropped; a row stays, so that its id never means another ruleset
    UniqueConstraint("organization_id", "version"),
)


# Of the runs that an explicit id links: how many each rule would have linked without it, and how many of them rightly.
link_calibrations = Table(
    "link_calibrations",
    metadata,
    Column("organization_id", BigInteger, ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("tested", Integer, nullable=False),
    Column("right", Integer, nullable=False),
    Column("measured_at", Instant, nullable=False),
)
