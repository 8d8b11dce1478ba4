"""Identities that a person set apart, pairs of people that are not the same, and as whom commits were made."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("identities", sa.Column("set_apart", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for table in ("commits", "pull_requests", "pull_request_reviews"):
        op.add_column(table, sa.Column("author", sa.Text(), nullable=True))
    op.create_table(
        "people_apart",
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("second_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["first_id"], ["people.id"], name=op.f("fk_people_apart_first_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["second_id"], ["people.id"], name=op.f("fk_people_apart_second_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_people_apart_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("first_id", "second_id", name=op.f("pk_people_apart")),
    )
    op.create_index(op.f("ix_people_apart_organization_id"), "people_apart", ["organization_id"])
    op.create_index(op.f("ix_people_apart_second_id"), "people_apart", ["second_id"])
