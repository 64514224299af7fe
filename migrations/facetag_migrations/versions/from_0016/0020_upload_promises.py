"""Photos of which a client was told that they are there, and until when they stay for its job.

Code of before this migration works on: it never reads the table, and deletes as it did before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "upload_promises",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("upload_promises_oldest", "upload_promises", ["until"])


def downgrade() -> None:
    op.drop_table("upload_promises")
