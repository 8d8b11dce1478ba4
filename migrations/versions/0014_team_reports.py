"""Assumptions of the return on AI, stored reports, and who gets them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "roi_assumptions",
        sa.Column("id", number, nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("given", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        _organization("roi_assumptions"),
        _of("roi_assumptions", "team_id", "teams"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roi_assumptions")),
    )
    op.create_index(
        op.f("ix_roi_assumptions_organization_id_team_id_since"),
        "roi_assumptions",
        ["organization_id", "team_id", "since"],
    )
    op.create_table(
        "stored_reports",
        sa.Column("id", number, nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        _organization("stored_reports"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_reports")),
        sa.UniqueConstraint(
            "organization_id",
            "kind",
            "scope",
            "scope_id",
            "first",
            "last",
            "version",
            name="uq_stored_reports_version",
        ),
    )
    op.create_index(op.f("ix_stored_reports_organization_id_as_of"), "stored_reports", ["organization_id", "as_of"])
    op.create_table(
        "report_subscriptions",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        _organization("report_subscriptions"),
        _of("report_subscriptions", "team_id", "teams"),
        _of("report_subscriptions", "member_id", "members"),
        sa.PrimaryKeyConstraint("team_id", "member_id", name=op.f("pk_report_subscriptions")),
    )
    op.create_table(
        "report_mails",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        _organization("report_mails"),
        _of("report_mails", "report_id", "stored_reports"),
        _of("report_mails", "member_id", "members"),
        sa.PrimaryKeyConstraint("report_id", "member_id", name=op.f("pk_report_mails")),
    )
    for table in ("report_subscriptions", "report_mails"):
        for column in ("organization_id", "member_id"):
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _organization(table: str) -> sa.ForeignKeyConstraint:
    return _of(table, "organization_id", "organizations")


def _of(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")
