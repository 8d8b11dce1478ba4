"""Whether a repository's closed pull requests are known: a local clone tells of merged ones only."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("repositories", sa.Column("closed_known", sa.Boolean(), nullable=True))
