"""The shares of a job that a worker estimated, to be shown beside those of a reviewed sample.

Code of before this migration works on: it never reads the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("estimate", sa.dialects.postgresql.JSONB()))


def downgrade() -> None:
    op.drop_column("jobs", "estimate")
