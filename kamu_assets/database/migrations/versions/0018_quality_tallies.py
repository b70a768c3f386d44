"""How far checks of data quality have come."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0018_quality_tallies"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "quality_tallies",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("tally", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "name"),
    )
