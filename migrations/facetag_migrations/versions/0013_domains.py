"""The domain of a shard: the collection that its photos come from.

Code of before this migration works on: it does not name the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shards", sa.Column("domain", sa.Text()))


def downgrade() -> None:
    op.drop_column("shards", "domain")
