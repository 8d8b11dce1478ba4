"""Who worked with each provider, summed like who worked at all: a provider's report of a year read every run's row."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# As they are now: a later change of the application's lists must not change this revision.
MEASURES = (
    "runs", "succeeded", "priced_runs", "exact_runs", "input_uncached", "cache_read", "cache_write_5m",
    "cache_write_1h", "output_text", "output_reasoning", "cost_nanos", "baseline_nanos", "saved_nanos", "latency_ms",
    "timed_runs",
)  # fmt: skip


def upgrade() -> None:
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in MEASURES)
    op.execute(
        f"INSERT INTO rollup_dimension (organization_id, dimension, value, day, {', '.join(MEASURES)}) "
        f"SELECT organization_id, 'contributor@provider=' || provider, CAST(person_id AS TEXT), day, {sums} "
        "FROM rollup_day WHERE person_id <> 0 AND environment NOT IN ('production', 'staging') "
        "GROUP BY organization_id, day, person_id, provider"
    )
