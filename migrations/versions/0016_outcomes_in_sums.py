"""Spend by outcome and by source beside the other sums of a day; pull requests by team, by repository and whole, with
their end; latencies by day.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# As they are now: a later change of the application's lists must not change this revision.
# Cut: its team, repository and provider.
SPEND_CUTS = {
    "whole": ("l.team_id", "l.repository_id", "l.provider"),
    "team": ("l.team_id", "0", "''"),
    "repository": ("0", "l.repository_id", "''"),
}
PULL_CUTS = {**SPEND_CUTS, "pull": ("0", "0", "''")}
LOST = {
    "open_nanos": "l.state = 'counted' AND p.outcome = 'open'",
    "abandoned_nanos": "l.state = 'counted' AND p.outcome = 'abandoned'",
    "reverted_nanos": "l.state = 'counted' AND p.outcome = 'reverted'",
    "gone_nanos": "l.state = 'counted' AND l.pull_request_id <> 0 AND p.id IS NULL",
}
RUNS = {
    "suggested_runs": "l.state = 'suggested'",
    "pending_runs": "l.state = 'pending'",
    "no_repo_runs": "l.reason = 'no_repo'",
    "no_person_runs": "l.reason = 'no_person'",
    "no_candidate_runs": "l.reason = 'no_candidate'",
    "rejected_runs": "l.reason = 'rejected'",
}
REVERTED_LATE = "p.reverted_at IS NOT NULL AND p.reverted_at - p.merged_at > 2592000000"  # 30 days
FACTS = {
    "ended_at": "coalesce(p.merged_at, p.closed_at)",
    "merged": "CASE WHEN p.id IS NOT NULL THEN CASE WHEN p.merged_at IS NULL THEN 0 ELSE 1 END END",
    "reverted": "CASE WHEN p.id IS NOT NULL THEN CASE WHEN p.merged_at IS NOT NULL AND p.outcome = 'reverted' "
    f"AND NOT ({REVERTED_LATE}) THEN 1 ELSE 0 END END",
    "cycle_ms": "CASE WHEN p.merged_at >= p.first_commit_at THEN p.merged_at - p.first_commit_at END",
    "home_id": "p.repository_id",
}
LINKS = (
    "FROM rollup_links AS l LEFT JOIN pull_requests AS p "
    "ON p.id = l.pull_request_id AND p.organization_id = l.organization_id"
)


def upgrade() -> None:
    for name in ("open_nanos", "abandoned_nanos", "reverted_nanos", *RUNS):
        op.add_column("rollup_spend", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    sums = ", ".join(f"sum(CASE WHEN {when} THEN l.cost_nanos ELSE 0 END) AS {name}" for name, when in LOST.items())
    runs = ", ".join(f"sum(CASE WHEN {when} THEN l.runs ELSE 0 END) AS {name}" for name, when in RUNS.items())
    told = ", ".join(f"{name} = told.{name}" for name in ("open_nanos", "abandoned_nanos", "reverted_nanos", *RUNS))
    for cut, (team, repository, provider) in SPEND_CUTS.items():
        op.execute(
            f"UPDATE rollup_spend SET direct_nanos = rollup_spend.direct_nanos + told.gone_nanos, {told} FROM ("
            f"SELECT l.organization_id AS organization_id, l.day AS day, {team} AS team_id, "
            f"{repository} AS repository_id, {provider} AS provider, {sums}, {runs} {LINKS} "
            f"WHERE l.state <> 'not_code' AND NOT (l.state = 'counted' AND coalesce(p.outcome, '') = 'merged') "
            f"GROUP BY 1, 2, 3, 4, 5) AS told "
            "WHERE rollup_spend.organization_id = told.organization_id "
            f"AND rollup_spend.cut = '{cut}' AND rollup_spend.day = told.day AND rollup_spend.team_id = told.team_id "
            "AND rollup_spend.repository_id = told.repository_id AND rollup_spend.provider = told.provider"
        )
    names = [column["name"] for column in sa.inspect(op.get_bind()).get_columns("rollup_spend")]
    measures = names[names.index("provider") + 1 :]
    into = ", ".join(measures)
    op.execute(
        f"INSERT INTO rollup_spend (organization_id, cut, day, team_id, repository_id, provider, {into}) "
        f"SELECT organization_id, 'source', day, team_id, 0, provider, "
        f"{', '.join(f'sum({name})' for name in measures)} FROM rollup_spend WHERE cut = 'whole' "
        f"GROUP BY organization_id, day, team_id, provider"
    )
    op.drop_table("rollup_pulls")
    _pulls()
    names = "organization_id, cut, pull_request_id, team_id, repository_id, provider, runs, cost_nanos"
    facts = ", ".join(f"min({value})" for value in FACTS.values())
    for cut, (team, repository, provider) in PULL_CUTS.items():
        op.execute(
            f"INSERT INTO rollup_pulls ({names}, {', '.join(FACTS)}) "
            f"SELECT l.organization_id, '{cut}', l.pull_request_id, {team}, {repository}, {provider}, "
            f"sum(l.runs), sum(l.cost_nanos), {facts} {LINKS} "
            "WHERE l.state = 'counted' AND l.pull_request_id <> 0 GROUP BY 1, 2, 3, 4, 5, 6"
        )
    _latencies()
    op.create_index("ix_rollup_day_repository", "rollup_day", ["organization_id", "repository_id", "day"])
    # What was not merged is no longer looked for in every report.
    op.drop_index("ix_pull_requests_unmerged", "pull_requests")


def _pulls() -> None:
    op.create_table(
        "rollup_pulls",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("cut", sa.Text(), nullable=False),
        sa.Column("pull_request_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("repository_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanos", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("merged", sa.BigInteger(), nullable=True),
        sa.Column("reverted", sa.BigInteger(), nullable=True),
        sa.Column("cycle_ms", sa.BigInteger(), nullable=True),
        sa.Column("home_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_rollup_pulls_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "organization_id",
            "cut",
            "pull_request_id",
            "team_id",
            "repository_id",
            "provider",
            name=op.f("pk_rollup_pulls"),
        ),
        sqlite_with_rowid=False,
    )
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index(
        "ix_rollup_pulls_ended",
        "rollup_pulls",
        [
            "organization_id", "cut", "ended_at", "pull_request_id", "team_id", "repository_id", "provider", "runs",
            "cost_nanos", "merged", "reverted", "cycle_ms", "home_id",
        ],
        sqlite_where=ended,
        postgresql_where=ended,
    )  # fmt: skip


def _latencies() -> None:
    """The quarter hours of each day, in the organization's time zone, added up."""
    op.create_table(
        "rollup_latency_day",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_rollup_latency_day_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "day", "provider", "step", name=op.f("pk_rollup_latency_day")),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    buckets = sa.text(
        "SELECT DISTINCT bucket FROM rollup_latency WHERE organization_id = :organization ORDER BY bucket"
    )
    day_sums = sa.text(
        "INSERT INTO rollup_latency_day (organization_id, day, provider, step, runs) "
        "SELECT organization_id, :day, provider, step, sum(runs) FROM rollup_latency "
        "WHERE organization_id = :organization AND bucket BETWEEN :first AND :last "
        "GROUP BY organization_id, provider, step"
    ).bindparams(sa.bindparam("day", type_=sa.Date()))
    for organization, timezone in connection.execute(sa.text("SELECT id, timezone FROM organizations")).all():
        zone, days = ZoneInfo(timezone), {}
        for bucket in connection.scalars(buckets, {"organization": organization}):
            day = datetime.fromtimestamp(bucket / 1000, UTC).astimezone(zone).date()
            days[day] = (days.get(day, (bucket,))[0], bucket)
        for day, (first, last) in days.items():
            given = {"organization": organization, "day": day, "first": first, "last": last}
            connection.execute(day_sums, given)
