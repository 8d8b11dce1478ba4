"""Sums by one dimension; on SQLite, keys and sums are stored by their primary key alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# As they are now: a later change of the application's lists must not change this revision.
MEASURES = (
    "runs", "succeeded", "priced_runs", "exact_runs", "input_uncached", "cache_read", "cache_write_5m",
    "cache_write_1h", "output_text", "output_reasoning", "cost_nanos", "baseline_nanos", "saved_nanos", "latency_ms",
    "timed_runs",
)  # fmt: skip
DIMENSIONS = (
    ("team", "team_id"), ("person", "person_id"), ("repository", "repository_id"), ("provider", "provider"),
    ("model", "model"), ("prompt", "prompt_id"), ("tool", "tool"), ("environment", "environment"),
)  # fmt: skip
BY_KEY = ("run_keys", "rollup_15m", "rollup_latency", "rollup_day")


def upgrade() -> None:
    op.drop_index("ix_run_keys_run_id", "run_keys")
    op.create_index(op.f("ix_team_members_member_id"), "team_members", ["member_id"])
    if op.get_bind().dialect.name == "sqlite":
        for name in BY_KEY:
            _store_by_key(name)
    op.create_table(
        "rollup_dimension",
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in MEASURES),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_rollup_dimension_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization_id", "dimension", "value", "day", name=op.f("pk_rollup_dimension")),
        sqlite_with_rowid=False,
    )
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    for dimension, column in DIMENSIONS:
        number = column in ("team_id", "person_id", "repository_id")
        value = f"CASE WHEN {column} = 0 THEN '' ELSE CAST({column} AS TEXT) END" if number else column
        op.execute(
            f"INSERT INTO rollup_dimension (organization_id, dimension, value, day, {', '.join(MEASURES)}) "
            f"SELECT organization_id, '{dimension}', {value}, day, {sums} FROM rollup_day "
            f"GROUP BY organization_id, {column}, day"
        )
    zeros = dict.fromkeys(MEASURES, "0") | {n: f"sum({n})" for n in ("runs", "priced_runs", "cost_nanos")}
    op.execute(
        f"INSERT INTO rollup_dimension (organization_id, dimension, value, day, {', '.join(MEASURES)}) "
        f"SELECT organization_id, 'state', state, day, {', '.join(zeros.values())} FROM rollup_links "
        f"GROUP BY organization_id, state, day"
    )


def _store_by_key(name: str) -> None:
    """Moves a table of SQLite, which has no index besides its key, into one without row numbers."""
    table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind(), resolve_fks=False)
    key = [column.name for column in table.primary_key.columns]
    op.execute(f"ALTER TABLE {name} RENAME TO {name}_before")
    op.create_table(
        name,
        *(sa.Column(c.name, c.type, nullable=c.nullable, autoincrement=False) for c in table.columns),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=f"fk_{name}_organization_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )
    columns = ", ".join(c.name for c in table.columns)
    op.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_before ORDER BY {', '.join(key)}")
    op.execute(f"DROP TABLE {name}_before")
