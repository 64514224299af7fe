"""How photos look, and which of a job repeat another one of it.

Code of before this migration works on: it names neither column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("images", sa.Column("look", sa.LargeBinary()))
    op.add_column("images", sa.Column("duplicate_of", sa.Integer()))


def downgrade() -> None:
    op.drop_column("images", "duplicate_of")
    op.drop_column("images", "look")
