"""Results that are used again for the same content.

Code of before this migration works on: it names none of the columns. What it labels is not reused.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Constant defaults are kept in the catalogue, so that PostgreSQL rewrites no row.
    op.add_column(
        "jobs", sa.Column("reuse", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("jobs", sa.Column("reused", sa.Integer(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("known", JSONB()))
    op.add_column("images", sa.Column("content", sa.LargeBinary()))
    op.add_column("images", sa.Column("labelling_key", sa.LargeBinary()))
    op.add_column("images", sa.Column("reused_from", sa.BigInteger()))
    op.create_index(
        "images_by_content",
        "images",
        ["tenant_id", "content", "labelling_key"],
        postgresql_where=sa.text("content IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("images_by_content", "images")
    for column in ("reused_from", "labelling_key", "content"):
        op.drop_column("images", column)
    for column in ("known", "reused", "reuse"):
        op.drop_column("jobs", column)
