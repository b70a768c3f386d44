"""Where the messages lie that were passed on to a stream of Redis."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0009_outbox_streams"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "outbox_streams",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
