"""What retraining needs: the ledger of shards, promotions, retrainings, and bundles in storage."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("retag_of", sa.Uuid()))
    op.add_column("jobs", sa.Column("wanted_version", sa.Text()))
    _extend_models()
    _create_shards()
    _create_retrainings()


def downgrade() -> None:
    for table in ("retrainings", "shard_images", "shards", "promotions"):
        op.drop_table(table)
    op.drop_index("models_one_champion", "models")
    op.drop_constraint("models_state", "models")
    for table, column in (
        ("models", "files"),
        ("models", "verdict"),
        ("jobs", "retag_of"),
        ("jobs", "wanted_version"),
    ):
        op.drop_column(table, column)


def _extend_models() -> None:
    op.add_column("models", sa.Column("files", JSONB()))
    op.add_column("models", sa.Column("verdict", JSONB()))
    op.create_check_constraint(
        "models_state", "models", "state IN ('candidate', 'champion', 'refused', 'retired')"
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
        _time("created_at", default=True),
    )
    op.create_index("promotions_newest", "promotions", ["tenant_id", sa.text("number DESC")])


def _create_shards() -> None:
    op.create_table(
        "shards",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("protected", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Text()),
        _time("created_at", default=True),
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


def _create_retrainings() -> None:
    op.create_table(
        "retrainings",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("plan", JSONB(), nullable=False),
        sa.Column("log", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("error", sa.Text()),
        _time("created_at", default=True),
        _time("started_at"),
        _time("finished_at"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'abandoned')",
            name="retrainings_state",
        ),
    )
    op.create_index(
        "retrainings_one_open",
        "retrainings",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )


def _time(name: str, *, default: bool = False) -> sa.Column[object]:
    return sa.Column(
        name,
        sa.DateTime(timezone=True),
        server_default=sa.func.now() if default else None,
        nullable=not default,
    )
