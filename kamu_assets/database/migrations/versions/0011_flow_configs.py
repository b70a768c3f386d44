"""How flows are done, and whether what failed may succeed another time."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0011_flow_configs"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("flows", sa.Column("config", sa.Text()))
    op.add_column("flows", sa.Column("recoverable", sa.Boolean()))
    op.add_column("flow_attempts", sa.Column("recoverable", sa.Boolean()))
    op.create_table(
        "flow_configs",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "type"),
    )
