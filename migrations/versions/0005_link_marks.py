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
    reverted = sa.text("reverted_at IS NOT NULL")
    op.create_index(
        "ix_pull_requests_reverted",
        "pull_requests",
        ["repository_id"],
        sqlite_where=reverted,
        postgresql_where=reverted,
    )
    _mention_branches()
    _mention_reverts()


_COMMITS = sa.table(
    "commits",
    *map(sa.column, ("id", "organization_id", "repository_id", "sha", "message")),
    sa.column("branches", sa.JSON()),
)
_PULLS = sa.table(
    "pull_requests",
    *map(sa.column, ("organization_id", "repository_id", "number", "title", "body", "head_ref")),
)
_MENTIONS = sa.table("mentions", *map(sa.column, ("organization_id", "repository_id", "kind", "value", "source")))


def _mention_reverts() -> None:
    """Commits and pull requests that may be reverts, of those that are stored already."""
    commit, pull = _COMMITS.c, _PULLS.c
    words = ("This reverts commit ", "Reverts ")
    spoken = [column.contains(some) for column in (pull.title, pull.body) for some in words]
    number = sa.literal("#").concat(sa.cast(pull.number, sa.Text()))
    for table, source, may_be in (
        (_COMMITS, commit.sha, commit.message.contains(words[0])),
        (_PULLS, number, sa.or_(pull.head_ref.startswith("revert-"), *spoken)),
    ):
        found = sa.select(
            table.c.organization_id, table.c.repository_id, sa.literal("revert"), sa.literal(""), source
        ).where(may_be)
        op.execute(_MENTIONS.insert().from_select([column.name for column in _MENTIONS.c], found))


def _mention_branches() -> None:
    """Branches of the commits that are stored already."""
    commits, mentions = _COMMITS, _MENTIONS
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
