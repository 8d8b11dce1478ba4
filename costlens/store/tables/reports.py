"""What teams assume of the return on AI, the reports that a worker keeps, and who gets them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Date, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from costlens.store.tables.base import Id, metadata, organization_column
from costlens.store.types import Instant

# One row for each day from which other assumptions hold; earlier reports keep the earlier ones.
roi_assumptions = Table(
    "roi_assumptions",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("team_id", BigInteger, ForeignKey("teams.id", ondelete="CASCADE")),  # null: the organization's
    Column("since", Date, nullable=False),
    Column("given", JSON, nullable=False),  # domain/estimates.py, Assumptions
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    Index(None, "organization_id", "team_id", "since"),
)


# A report with all that it was made of: rendered again, it is the same to the byte.
stored_reports = Table(
    "stored_reports",
    metadata,
    Column("id", Id, primary_key=True),
    organization_column(),
    Column("kind", Text, nullable=False),  # day, week, month, asked
    Column("scope", Text, nullable=False),  # organization, team, repository
    Column("scope_id", BigInteger, nullable=False),  # 0: the organization
    Column("first", Date, nullable=False),
    Column("last", Date, nullable=False),
    Column("version", Integer, nullable=False),  # of the same kind, scope and days, from 1
    Column("as_of", Instant, nullable=False),
    Column("inputs", Text, nullable=False),  # JSON of domain/team_report.py, Inputs
    Column("digest", Text, nullable=False),  # SHA-256 of the rendered JSON, in hexadecimal
    UniqueConstraint(
        "organization_id", "kind", "scope", "scope_id", "first", "last", "version", name="uq_stored_reports_version"
    ),
    Index(None, "organization_id", "as_of"),
)


# Who asked to get a team's weekly report by e-mail.
report_subscriptions = Table(
    "report_subscriptions",
    metadata,
    organization_column(),
    Column("team_id", BigInteger, ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", BigInteger, ForeignKey("members.id", ondelete="CASCADE"), primary_key=True),
    Column("since", Instant, nullable=False),
    Index(None, "organization_id"),
    Index(None, "member_id"),
)


# E-mails of a stored report, so that each goes out once.
report_mails = Table(
    "report_mails",
    metadata,
    organization_column(),
    Column("report_id", BigInteger, ForeignKey("stored_reports.id", ondelete="CASCADE"), primary_key=True),
    Column("member_id", BigInteger, ForeignKey("members.id", ondelete="CASCADE"), primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("tried_at", Instant, nullable=False),
    Column("sent_at", Instant),  # null: not taken yet
    Column("error", Text),  # null: sent
    Index(None, "organization_id"),
    Index(None, "member_id"),
)
