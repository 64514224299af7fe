"""Whether a job keeps its photos once it has ended, and when they were deleted.

Code of before this migration works on: the jobs that it makes keep theirs, as always.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "jobs",
        sa.Column("keep_photos", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    )
    op.add_column("jobs", sa.Column("photos_deleted_at", sa.DateTime(timezone=True)))
    op.create_index(
        "jobs_without_photos",
        "jobs",
        ["finished_at"],
        postgresql_where=sa.text("NOT keep_photos AND finished_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("jobs_without_photos", "jobs")
    op.drop_column("jobs", "photos_deleted_at")
    op.drop_column("jobs", "keep_photos")
