"""The connection to GitHub, the walk over each repository, webhook deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "github_hosts",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_github_hosts")),
    )
    op.create_table(
        "github_connections",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hook_id", sa.Text(), nullable=False),
        sa.Column("app_id", sa.BigInteger(), nullable=True),
        sa.Column("app_slug", sa.Text(), nullable=True),
        sa.Column("app_url", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("private_key", sa.Text(), nullable=True),
        sa.Column("client_secret", sa.Text(), nullable=True),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=False),
        sa.Column("old_webhook_secret", sa.Text(), nullable=True),
        sa.Column("old_secret_until", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("pinged_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("redelivered_at", sa.BigInteger(), nullable=True),
        sa.Column("listed_at", sa.BigInteger(), nullable=True),
        sa.Column("list_due", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _organization("github_connections"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_github_connections")),
        sa.UniqueConstraint("hook_id", name=op.f("uq_github_connections_hook_id")),
    )
    op.create_table(
        "github_installations",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("installation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("token_until", sa.BigInteger(), nullable=True),
        sa.Column("paused_until", sa.BigInteger(), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("pauses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("budget", sa.Integer(), nullable=True),
        sa.Column("budget_limit", sa.Integer(), nullable=True),
        sa.Column("budget_resets_at", sa.BigInteger(), nullable=True),
        _organization("github_installations"),
        sa.PrimaryKeyConstraint("organization_id", "installation_id", name=op.f("pk_github_installations")),
    )
    op.create_table(
        "github_repositories",
        sa.Column("id", _id(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("installation_id", sa.BigInteger(), nullable=False),
        sa.Column("github_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("default_branch", sa.Text(), nullable=True),
        sa.Column("offered", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("chosen", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("phase", sa.Text(), server_default="idle", nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("top", sa.BigInteger(), nullable=True),
        sa.Column("reached", sa.BigInteger(), nullable=True),
        sa.Column("items", sa.Integer(), server_default="0", nullable=False),
        sa.Column("watermark", sa.BigInteger(), nullable=True),
        sa.Column("covers_from", sa.BigInteger(), nullable=True),
        sa.Column("repository_etag", sa.Text(), nullable=True),
        sa.Column("pulls_etag", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("hinted_at", sa.BigInteger(), nullable=True),
        sa.Column("succeeded_at", sa.BigInteger(), nullable=True),
        _organization("github_repositories"),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_github_repositories_repository_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_github_repositories")),
        sa.UniqueConstraint(
            "organization_id", "github_id", name=op.f("uq_github_repositories_organization_id_github_id")
        ),
    )
    op.create_index(op.f("ix_github_repositories_due_at"), "github_repositories", ["due_at"])
    op.create_index(op.f("ix_github_repositories_repository_id"), "github_repositories", ["repository_id"])
    op.create_table(
        "github_deliveries",
        sa.Column("id", _id(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("guid", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("github_id", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("processed_at", sa.BigInteger(), nullable=True),
        _organization("github_deliveries"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_github_deliveries")),
        sa.UniqueConstraint("organization_id", "guid", name=op.f("uq_github_deliveries_organization_id_guid")),
    )
    waiting = sa.text("processed_at IS NULL")
    op.create_index(
        "ix_github_deliveries_waiting",
        "github_deliveries",
        ["organization_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index(op.f("ix_github_deliveries_received_at"), "github_deliveries", ["received_at"])

    op.create_table(
        "pull_request_details",
        sa.Column("pull_request_id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reviews_due", sa.Boolean(), nullable=False),
        sa.Column("diff_due", sa.Boolean(), nullable=False),
        _organization("pull_request_details"),
        _pull("pull_request_details"),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_pull_request_details_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pull_request_id", name=op.f("pk_pull_request_details")),
    )
    op.create_index(
        op.f("ix_pull_request_details_repository_id_number"), "pull_request_details", ["repository_id", "number"]
    )
    op.create_table(
        "pull_request_reviews",
        sa.Column("pull_request_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), nullable=False),
        _organization("pull_request_reviews"),
        _pull("pull_request_reviews"),
        sa.PrimaryKeyConstraint("pull_request_id", "position", name=op.f("pk_pull_request_reviews")),
    )
    op.create_index(op.f("ix_pull_request_reviews_organization_id"), "pull_request_reviews", ["organization_id"])
    op.create_table(
        "pull_request_prompts",
        sa.Column("pull_request_id", sa.BigInteger(), nullable=False),
        sa.Column("prompt_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        _organization("pull_request_prompts"),
        _pull("pull_request_prompts"),
        sa.PrimaryKeyConstraint("pull_request_id", "prompt_id", name=op.f("pk_pull_request_prompts")),
    )
    op.create_index(
        op.f("ix_pull_request_prompts_organization_id_prompt_id"),
        "pull_request_prompts",
        ["organization_id", "prompt_id"],
    )


def _pull(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["pull_request_id"], ["pull_requests.id"], name=op.f(f"fk_{table}_pull_request_id"), ondelete="CASCADE"
    )


def _id() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _organization(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organization_id"], ["organizations.id"], name=op.f(f"fk_{table}_organization_id"), ondelete="CASCADE"
    )
