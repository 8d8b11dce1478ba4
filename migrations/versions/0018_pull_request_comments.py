"""Comments on pull requests, and how far a pass over every run of a repository is."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("github_connections", sa.Column("comments_on_at", sa.BigInteger(), nullable=True))
    op.add_column("github_installations", sa.Column("may_comment", sa.Boolean(), nullable=True))
    op.add_column("github_repositories", sa.Column("comments_on_at", sa.BigInteger(), nullable=True))
    op.add_column("github_repositories", sa.Column("comments_error", sa.Text(), nullable=True))
    op.add_column("repositories", sa.Column("relinked_runs", sa.BigInteger(), nullable=True))
    op.create_table(
        "pull_request_comments",
        sa.Column("pull_request_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("comment_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("runs", sa.BigInteger(), nullable=True),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("written_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_pull_request_comments_organization_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["pull_request_id"],
            ["pull_requests.id"],
            name=op.f("fk_pull_request_comments_pull_request_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_pull_request_comments_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pull_request_id", name=op.f("pk_pull_request_comments")),
    )
    op.create_index(
        op.f("ix_pull_request_comments_organization_id_due_at"), "pull_request_comments", ["organization_id", "due_at"]
    )
    op.create_index(op.f("ix_pull_request_comments_repository_id"), "pull_request_comments", ["repository_id"])
