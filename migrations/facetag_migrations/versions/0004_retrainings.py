"""Add queued retrainings and the lines of their logs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "retrainings",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("shards", JSONB(), nullable=False),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("claim_token", sa.Uuid()),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("lease_until", moment),
        sa.Column("not_before", moment),
        sa.Column("rung_at", moment),
        sa.Column("stage", sa.Text()),
        sa.Column("epoch", sa.Integer()),
        sa.Column("step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("steps", sa.Integer()),
        sa.Column("deaths", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("died_at_step", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("verdict", JSONB()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", moment, server_default=sa.func.now(), nullable=False),
        sa.Column("started_at", moment),
        sa.Column("heartbeat_at", moment),
        sa.Column("finished_at", moment),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'promoted', 'candidate', 'refused', 'failed', "
            "'cancelled')",
            name="retrainings_state",
        ),
    )
    op.create_index(
        "retrainings_one_open",
        "retrainings",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("retrainings_newest", "retrainings", ["tenant_id", sa.text("created_at DESC")])
    op.create_table(
        "retraining_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "retraining_id",
            sa.Uuid(),
            sa.ForeignKey("retrainings.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", moment, server_default=sa.func.now(), nullable=False),
    )
    op.create_index("retraining_lines_in_order", "retraining_lines", ["retraining_id", "id"])


def downgrade() -> None:
    op.drop_table("retraining_lines")
    op.drop_table("retrainings")
