"""Add the ledger of shards: the bundle fitted on each, and the part of each image."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shards",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
        ),
    )
    op.create_table(
        "shard_images",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("shard", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text(), primary_key=True),
        sa.Column("difference_hash", sa.LargeBinary(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "shard"],
            ["shards.tenant_id", "shards.sha256"],
            name="shard_images_shard",
            ondelete="CASCADE",
        ),
    )
    op.create_index("shard_images_by_content", "shard_images", ["tenant_id", "sha256"])


def downgrade() -> None:
    op.drop_table("shard_images")
    op.drop_table("shards")
