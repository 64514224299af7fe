"""When a job was deleted: its rows go afterwards, some at a time, as a job may have a million.

Code of before this migration works on, but for a job that is deleted meanwhile: it shows the rows
that are left of it. The index on reviews holds withdrawn ones too, for the cascade from images.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NOT_WITHDRAWN = "withdrawn_at IS NULL"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.create_index(
        "jobs_deleted", "jobs", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NOT NULL")
    )
    op.drop_index("reviews_by_image", "reviews")
    op.create_index("reviews_by_image", "reviews", ["image_id"])


def downgrade() -> None:
    op.execute("DELETE FROM jobs WHERE deleted_at IS NOT NULL")
    op.drop_index("reviews_by_image", "reviews")
    op.create_index(
        "reviews_by_image", "reviews", ["image_id"], postgresql_where=sa.text(NOT_WITHDRAWN)
    )
    op.drop_index("jobs_deleted", "jobs")
    op.drop_column("jobs", "deleted_at")
