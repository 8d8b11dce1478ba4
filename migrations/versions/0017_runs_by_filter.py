"""Sums for the list of runs and the pages of models and prompts under their filters, and a way to failed runs."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# As they are now: a later change of the application's lists must not change this revision.
MEASURES = (
    "runs", "succeeded", "priced_runs", "exact_runs", "input_uncached", "cache_read", "cache_write_5m",
    "cache_write_1h", "output_text", "output_reasoning", "cost_nanos", "baseline_nanos", "saved_nanos", "latency_ms",
    "timed_runs",
)  # fmt: skip
CALL = "CAST(length(provider) AS TEXT) || ':' || provider || model"
# What is summed, and the columns that it is summed for each value of; none: for all runs.
PAIRS = (
    ("call", CALL, (None, "team", "repository", "tool", "environment")),
    ("prompt", "prompt_id", ("team", "provider", "model", "tool", "environment")),
)
COLUMNS = {"team": "team_id", "repository": "repository_id"}


def upgrade() -> None:
    op.create_table(
        "rollup_runs",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("team_id", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("provider", "model", "tool", "environment")),
        sa.Column("success", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "reason")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("runs", "priced_runs", "cost_nanos")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_rollup_runs_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "day", "team_id", "provider", "model", "tool", "environment", "success", "state",
            "reason", name=op.f("pk_rollup_runs"),
        ),
        sqlite_with_rowid=False,
    )  # fmt: skip
    _fill_runs()
    _fill_pairs()
    op.create_index(
        "ix_runs_failed",
        "runs",
        ["organization_id", "occurred_at", "id"],
        sqlite_where=sa.text("success = 0"),  # as SQLAlchemy says it
        postgresql_where=sa.text("NOT success"),
    )


def _fill_runs() -> None:
    """A local day at a time: only the zone's rules say when it begins."""
    connection = op.get_bind()
    organizations = connection.execute(sa.text("SELECT id, timezone FROM organizations ORDER BY id")).all()
    statement = sa.text(
        "INSERT INTO rollup_runs (organization_id, day, team_id, provider, model, tool, environment, success, state, "
        "reason, runs, priced_runs, cost_nanos) "
        "SELECT organization_id, :day, coalesce(team_id, 0), provider, model, coalesce(tool, ''), "
        "coalesce(environment, ''), success, link_state, coalesce(unlinked_reason, ''), count(*), count(cost_nanos), "
        "coalesce(sum(cost_nanos), 0) FROM runs "
        "WHERE organization_id = :organization AND occurred_at >= :since AND occurred_at < :until "
        "GROUP BY organization_id, coalesce(team_id, 0), provider, model, coalesce(tool, ''), "
        "coalesce(environment, ''), success, link_state, coalesce(unlinked_reason, '')"
    ).bindparams(sa.bindparam("day", type_=sa.Date()))
    days = sa.text("SELECT DISTINCT day FROM rollup_day WHERE organization_id = :organization").columns(day=sa.Date())
    for organization, timezone in organizations:
        zone = ZoneInfo(timezone)
        for day in sorted(connection.scalars(days, {"organization": organization}).all()):
            since, until = _start(day, zone), _start(day + timedelta(days=1), zone)
            connection.execute(statement, {"organization": organization, "day": day, "since": since, "until": until})


def _start(day: date, zone: ZoneInfo) -> int:
    """Milliseconds since 1970 at which a local day begins."""
    at = datetime.combine(day, time(), zone).astimezone(UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _fill_pairs() -> None:
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    for name, value, filters in PAIRS:
        for each in filters:
            column = COLUMNS.get(each, each) if each else None
            number = each in COLUMNS
            shown = f"CASE WHEN {column} = 0 THEN '' ELSE CAST({column} AS TEXT) END" if number else column
            dimension = f"'{name}@{each}=' || {shown}" if each else f"'{name}'"
            groups = f", {column}" if each else ""
            op.execute(
                f"INSERT INTO rollup_dimension (organization_id, dimension, value, day, {', '.join(MEASURES)}) "
                f"SELECT organization_id, {dimension}, {value}, day, {sums} FROM rollup_day "
                f"GROUP BY organization_id, day, {'provider, model' if name == 'call' else value}{groups}"
            )
