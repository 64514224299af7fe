"""Create the first tables: jobs, images, faces, and the bundles that labelled them."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_jobs()
    _create_images()
    _create_faces()
    _create_models()


def downgrade() -> None:
    for table in ("models", "faces", "images", "jobs"):
        op.drop_table(table)


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("source_bucket", sa.Text()),
        sa.Column("source_prefix", sa.Text()),
        sa.Column("listing_cursor", sa.Text()),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("request_sha256", sa.Text()),
        sa.Column("total", sa.Integer()),
        *(
            sa.Column(count, sa.Integer(), server_default="0", nullable=False)
            for count in ("queued", "running", "tagged", "no_face", "failed", "cancelled")
        ),
        sa.Column("error", sa.Text()),
        sa.Column("rung_at", sa.DateTime(timezone=True)),
        _created_at(),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "state IN ('listing', 'queued', 'running', 'completed', 'completed_with_errors', "
            "'failed', 'cancelled')",
            name="jobs_state",
        ),
        sa.UniqueConstraint("tenant_id", "idempotency_key", name="jobs_idempotency"),
    )
    op.create_index(
        "jobs_newest", "jobs", ["tenant_id", sa.text("created_at DESC"), sa.text("id DESC")]
    )
    op.create_index("jobs_open", "jobs", ["state"], postgresql_where=sa.text("finished_at IS NULL"))


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "job_id", sa.Uuid(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("claim_token", sa.Uuid()),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("releases", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("suspicion", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_message", sa.Text()),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("model_version", sa.Text()),
        sa.Column("stage_ms", JSONB()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'tagged', 'no_face', 'failed', 'cancelled')",
            name="images_state",
        ),
        sa.UniqueConstraint("job_id", "position", name="images_order"),
    )
    op.create_index(
        "images_claimable",
        "images",
        ["job_id", "suspicion", "position"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "images_leased", "images", ["lease_until"], postgresql_where=sa.text("state = 'running'")
    )
    op.create_index("images_by_state", "images", ["job_id", "state", "position"])
    op.create_index("images_by_key", "images", ["bucket", "key"])


def _create_faces() -> None:
    op.create_table(
        "faces",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "image_id",
            sa.BigInteger(),
            sa.ForeignKey("images.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("attributes", JSONB(), nullable=False),
        sa.UniqueConstraint("image_id", "position", name="faces_order"),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("tenant_id", sa.Text(), primary_key=True),
        sa.Column("version", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("manifest", JSONB(), nullable=False),
        _created_at(),
        sa.Column("promoted_at", sa.DateTime(timezone=True)),
    )


def _created_at() -> sa.Column[datetime]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
    )
