"""Find the jobs whose estimated shares are wanted, to ring for them again.

Code of before this migration works on: it never looks for them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "jobs_estimate_wanted",
        "jobs",
        ["id"],
        postgresql_where=sa.text(
            "estimate IS NOT NULL AND NOT estimate ?| array['shares', 'error']"
        ),
    )


def downgrade() -> None:
    op.drop_index("jobs_estimate_wanted", "jobs")
