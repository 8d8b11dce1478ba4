"""Narrow sums of spend by day and of pull requests by their whole life; cohorts are read from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# As they are now: a later change of the application's lists must not change this revision.
USAGE = ("runs", "succeeded", "priced_runs", "exact_runs", "cost_nanos", "latency_ms", "timed_runs")
LEDGER = {
    "ledger_runs": "runs",
    "ledger_priced_runs": "priced_runs",
    "not_code_runs": "CASE WHEN state = 'not_code' THEN runs ELSE 0 END",
    "counted_nanos": "CASE WHEN state = 'counted' THEN cost_nanos ELSE 0 END",
    "direct_nanos": "CASE WHEN state = 'counted' AND pull_request_id = 0 THEN cost_nanos ELSE 0 END",
    "suggested_nanos": "CASE WHEN state = 'suggested' THEN cost_nanos ELSE 0 END",
    "pending_nanos": "CASE WHEN state = 'pending' THEN cost_nanos ELSE 0 END",
    **{
        f"{reason}_nanos": f"CASE WHEN state = 'unlinked' AND reason = '{reason}' THEN cost_nanos ELSE 0 END"
        for reason in ("no_repo", "no_person", "no_candidate", "rejected")
    },
    "not_code_nanos": "CASE WHEN state = 'not_code' THEN cost_nanos ELSE 0 END",
}
MEASURES = (*USAGE, *LEDGER)
# Cut: its team, repository and provider.
CUTS = {
    "whole": ("team_id", "repository_id", "provider"),
    "team": ("team_id", "0", "''"),
    "repository": ("0", "repository_id", "''"),
}
DIMENSION_MEASURES = (
    "runs", "succeeded", "priced_runs", "exact_runs", "input_uncached", "cache_read", "cache_write_5m",
    "cache_write_1h", "output_text", "output_reasoning", "cost_nanos", "baseline_nanos", "saved_nanos", "latency_ms",
    "timed_runs",
)  # fmt: skip


def upgrade() -> None:
    _tables()
    _fill()
    counted = sa.text("state = 'counted' AND pull_request_id <> 0")
    op.create_index(
        "ix_rollup_links_of_pull",
        "rollup_links",
        ["organization_id", "pull_request_id", "day", "team_id", "repository_id", "provider", "cost_nanos"],
        sqlite_where=counted,
        postgresql_where=counted,
    )
    op.drop_index("ix_pull_requests_organization_id_merged_at", "pull_requests")
    op.create_index(
        "ix_pull_requests_merged",
        "pull_requests",
        [
            "organization_id", "merged_at", "outcome", "reverted_at", "first_commit_at", "repository_id", "ai_signal",
        ],
    )  # fmt: skip
    unmerged = sa.text("outcome <> 'merged'")
    op.create_index(
        "ix_pull_requests_unmerged",
        "pull_requests",
        ["organization_id", "outcome"],
        sqlite_where=unmerged,
        postgresql_where=unmerged,
    )


def _tables() -> None:
    op.create_table(
        "rollup_spend",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in MEASURES),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_rollup_spend_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "cut", "day", "team_id", "repository_id", "provider", name=op.f("pk_rollup_spend")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_pulls",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("pull_request_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_rollup_pulls_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "pull_request_id", "team_id", "repository_id", "provider", name=op.f("pk_rollup_pulls")
        ),
        sqlite_with_rowid=False,
    )


def _fill() -> None:
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    usage = ", ".join((*USAGE, *(f"0 AS {name}" for name in LEDGER)))
    ledger = ", ".join((*("0" for _ in USAGE), *LEDGER.values()))
    for cut, key in CUTS.items():
        keys = ", ".join(
            f"{column} AS {name}" for column, name in zip(key, ("team", "repository", "named"), strict=True)
        )
        op.execute(
            f"INSERT INTO rollup_spend (organization_id, cut, team_id, repository_id, provider, day, "
            f"{', '.join(MEASURES)}) SELECT organization_id, '{cut}', team, repository, named, day, {sums} FROM ("
            f"SELECT organization_id, {keys}, day, {usage} FROM rollup_day UNION ALL "
            f"SELECT organization_id, {keys}, day, {ledger} FROM rollup_links"
            f") AS parts GROUP BY organization_id, team, repository, named, day"
        )
    op.execute(
        "INSERT INTO rollup_pulls (organization_id, pull_request_id, team_id, repository_id, provider, runs, "
        "cost_nanos) SELECT organization_id, pull_request_id, team_id, repository_id, provider, sum(runs), "
        "sum(cost_nanos) FROM rollup_links WHERE state = 'counted' AND pull_request_id <> 0 "
        "GROUP BY organization_id, pull_request_id, team_id, repository_id, provider"
    )
    by_person = ", ".join(f"sum({name})" for name in DIMENSION_MEASURES)
    op.execute(
        f"INSERT INTO rollup_dimension (organization_id, dimension, value, day, {', '.join(DIMENSION_MEASURES)}) "
        f"SELECT organization_id, 'contributor', CAST(person_id AS TEXT), day, {by_person} FROM rollup_day "
        f"WHERE person_id <> 0 AND environment NOT IN ('production', 'staging') "
        f"GROUP BY organization_id, person_id, day"
    )
