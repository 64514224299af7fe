"""Reviews: what people say of faces, beside what the network said.

Code of before this migration works on: it does not read the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column(
            "job_id", sa.Uuid(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column(
            "image_id",
            sa.BigInteger(),
            sa.ForeignKey("images.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("face_id", sa.BigInteger(), sa.ForeignKey("faces.id", ondelete="CASCADE")),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("age_low", sa.Float()),
        sa.Column("age_high", sa.Float()),
        sa.Column("gender", sa.Text()),
        sa.Column("race", sa.Text()),
        *(sa.Column(name, sa.Integer()) for name in ("x", "y", "width", "height")),
        sa.Column("said", sa.dialects.postgresql.JSONB(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "verdict IN ('accepted', 'corrected', 'cannot_tell', 'no_face', 'missed')",
            name="reviews_verdict",
        ),
    )
    alive = sa.text("withdrawn_at IS NULL")
    op.create_index("reviews_by_image", "reviews", ["image_id"], postgresql_where=alive)
    op.create_index("reviews_by_job", "reviews", ["job_id"], postgresql_where=alive)
    # A face's deletion looks for its reviews.
    op.create_index("reviews_by_face", "reviews", ["face_id"])


def downgrade() -> None:
    op.drop_table("reviews")
