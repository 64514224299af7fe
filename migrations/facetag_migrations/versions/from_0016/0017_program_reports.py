"""What workers and sweepers report of themselves, for the metrics of the API.

Code of before this migration works on: it never reads the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "program_reports",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.dialects.postgresql.JSONB(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("program_reports")
