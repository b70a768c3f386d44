"""Which flows go first."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0013_flow_priorities"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the column; flows that wait already are all alike."""
    with op.batch_alter_table("flows") as table:
        table.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("flows") as table:
        table.alter_column("priority", server_default=None)
