"""Add promotions, the verdicts of bundles, and their files in object storage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("files", JSONB()))
    op.add_column("models", sa.Column("verdict", JSONB()))
    op.create_check_constraint(
        "models_state", "models", "state IN ('candidate', 'champion', 'retired')"
    )
    op.create_index(
        "models_one_champion",
        "models",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("state = 'champion'"),
    )
    op.create_table(
        "promotions",
        sa.Column("number", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text()),
        sa.Column("rollback", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
    )
    op.create_index("promotions_newest", "promotions", ["tenant_id", sa.text("number DESC")])


def downgrade() -> None:
    op.drop_table("promotions")
    op.drop_index("models_one_champion", "models")
    op.drop_constraint("models_state", "models")
    op.drop_column("models", "verdict")
    op.drop_column("models", "files")
