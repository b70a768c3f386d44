"""Who leads, and in which term: what a leader of an earlier one begins comes to nothing."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0017_leaders"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "leaders",
        sa.Column("role", sa.String(100), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("role"),
    )
