"""What people say of pull requests, and the links of direct work."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pull_requests", sa.Column("ai_mark", sa.Text(), nullable=True))
    # Reports of a cohort ask for it too.
    op.drop_index("ix_pull_requests_merged", "pull_requests")
    op.create_index(
        "ix_pull_requests_merged",
        "pull_requests",
        [
            "organization_id", "merged_at", "outcome", "reverted_at", "first_commit_at", "repository_id", "ai_signal",
            "ai_mark",
        ],
    )  # fmt: skip
    direct = sa.text("pull_request_id IS NULL AND valid_to IS NULL")
    op.create_index(
        "ix_links_direct",
        "links",
        ["organization_id", "repository_id"],
        sqlite_where=direct,
        postgresql_where=direct,
    )
