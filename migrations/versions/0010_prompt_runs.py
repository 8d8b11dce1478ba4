"""Ways to the runs of a prompt, and to the few without a price."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_runs_seen_prompt", ("prompt_id", "occurred_at"), "linked_at IS NOT NULL AND prompt_id IS NOT NULL"),
    ("ix_runs_unpriced", ("occurred_at", "id"), "cost_nanos IS NULL"),
)


def upgrade() -> None:
    for name, columns, where in _INDEXES:
        rows = sa.text(where)
        op.create_index(name, "runs", ["organization_id", *columns], sqlite_where=rows, postgresql_where=rows)
