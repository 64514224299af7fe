"""Images that were labelled although their files lack their last bytes.

Code of before this migration works on: it neither names the column nor needs another value.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A constant default is kept in the catalogue, so that PostgreSQL rewrites no row.
    op.add_column(
        "images",
        sa.Column("incomplete", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("images", "incomplete")
