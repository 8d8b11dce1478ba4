"""What the linker needs to look at few runs: marks of what changed, and ways to find runs and facts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FACTS = (
    ("commits", ("repository_id", "person_id", "authored_at")),
    ("pull_requests", ("repository_id", "head_ref")),
    ("pull_requests", ("repository_id", "merge_commit_sha")),
)
_SEEN = (
    ("branch", ("repository_id", "branch", "occurred_at"), None),
    ("person", ("repository_id", "person_id", "occurred_at"), None),
    ("commit", ("repository_id", "commit_sha"), "commit_sha IS NOT NULL"),
    ("pull", ("repository_id", "pr_number"), "pr_number IS NOT NULL"),
    ("session", ("session_id", "occurred_at"), "session_id IS NOT NULL"),
    ("correlation", ("correlation_id",), "correlation_id IS NOT NULL"),
    ("pending", ("repository_id", "occurred_at"), "link_state = 'pending'"),
)
_PAGE = 5_000


def upgrade() -> None:
    op.create_table(
        "link_marks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_link_marks_organization_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_link_marks_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_marks")),
    )
    op.create_index(
        op.f("ix_link_marks_organization_id_repository_id"), "link_marks", ["organization_id", "repository_id"]
    )
    op.add_column("repositories", sa.Column("links_version", sa.Integer(), server_default="0", nullable=False))
    for table, columns in _FACTS:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))
    op.drop_index("ix_runs_waiting", "runs")
    waiting = sa.text("linked_at IS NULL")
    op.create_index(
        "ix_runs_waiting",
        "runs",
        ["organization_id", "repository_id", "id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    for name, columns, where in _SEEN:
        rows = sa.text("linked_at IS NOT NULL" + (f" AND {where}" if where else ""))
        op.create_index(
            f"ix_runs_seen_{name}", "runs", ["organization_id", *columns], sqlite_where=rows, postgresql_where=rows
        )
    _mention_branches()


def _mention_branches() -> None:
    """Branches of the commits that are stored already."""
    commits = sa.table(
        "commits",
        *map(sa.column, ("id", "organization_id", "repository_id", "sha")),
        sa.column("branches", sa.JSON()),
    )
    mentions = sa.table("mentions", *map(sa.column, ("organization_id", "repository_id", "kind", "value", "source")))
    connection, last = op.get_bind(), 0
    while page := connection.execute(
        sa.select(commits).where(commits.c.id > last).order_by(commits.c.id).limit(_PAGE)
    ).all():
        last = page[-1].id
        rows = [
            {
                "organization_id": commit.organization_id,
                "repository_id": commit.repository_id,
                "kind": "branch",
                "value": branch,
                "source": commit.sha,
            }
            for commit in page
            for branch in set(commit.branches)
        ]
        if rows:
            connection.execute(mentions.insert(), rows)
