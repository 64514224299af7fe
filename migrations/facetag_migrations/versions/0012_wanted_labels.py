"""What a job labels and keeps, and why; and when background programs last worked.

Code of before this migration works on: it names none of the columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("heads", sa.ARRAY(sa.Text())))
    op.add_column("jobs", sa.Column("purpose", sa.Text()))
    # Not null for jobs that keep counts alone.
    op.add_column("jobs", sa.Column("aggregate", sa.dialects.postgresql.JSONB()))
    op.create_table(
        "program_rounds",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("program_rounds")
    for column in ("aggregate", "purpose", "heads"):
        op.drop_column("jobs", column)
