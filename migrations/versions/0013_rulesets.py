"""Rulesets of the linker and how its rules proved themselves; sessions of git-ai notes; commits left out by a push."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "link_rulesets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("stances", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("runs_done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("runs_total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("difference", sa.JSON(), nullable=True),
        sa.Column("compared_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("applied_by", sa.Text(), nullable=True),
        sa.Column("applied_at", sa.BigInteger(), nullable=True),
        sa.Column("dropped_at", sa.BigInteger(), nullable=True),
        _organization("link_rulesets"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_rulesets")),
        sa.UniqueConstraint("organization_id", "version", name=op.f("uq_link_rulesets_organization_id_version")),
    )
    op.create_table(
        "link_calibrations",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("tested", sa.Integer(), nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        _organization("link_calibrations"),
        sa.PrimaryKeyConstraint("organization_id", "rule", name=op.f("pk_link_calibrations")),
    )
    op.create_table(
        "former_commits",
        sa.Column("pull_request_id", sa.BigInteger(), nullable=False),
        sa.Column("commit_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pull_request_id"],
            ["pull_requests.id"],
            name=op.f("fk_former_commits_pull_request_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["commit_id"], ["commits.id"], name=op.f("fk_former_commits_commit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pull_request_id", "commit_id", name=op.f("pk_former_commits")),
    )
    op.create_index("ix_former_commits_commit_id", "former_commits", ["commit_id"])
    op.add_column("commits", sa.Column("attested", sa.JSON(), nullable=True))


def _organization(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organization_id"],
        ["organizations.id"],
        name=op.f(f"fk_{table}_organization_id"),
        ondelete="CASCADE",
    )
