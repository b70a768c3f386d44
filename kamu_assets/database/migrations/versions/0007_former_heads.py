"""Heads that chains had before they were rewritten."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0007_former_heads"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "dataset_former_heads",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "block_hash"),
    )
