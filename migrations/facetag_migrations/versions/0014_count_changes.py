"""Changes of a job's counts that wait, so that many workers of one job do not wait for its row.

Code of before this migration works on: it changes the job's row itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

COUNTED = ("queued", "running", "tagged", "no_face", "failed", "cancelled", "reused")


def upgrade() -> None:
    op.create_table(
        "count_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTED),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("count_changes_by_job", "count_changes", ["job_id"])


def downgrade() -> None:
    columns = ", ".join(f"{name} = jobs.{name} + left_over.{name}" for name in COUNTED)
    sums = ", ".join(f"sum({name}) AS {name}" for name in COUNTED)
    op.execute(
        f"UPDATE jobs SET {columns} FROM "  # noqa: S608 - built from constants
        f"(SELECT job_id, {sums} FROM count_changes GROUP BY job_id) AS left_over "
        "WHERE jobs.id = left_over.job_id"
    )
    op.drop_table("count_changes")
