"""What flows and their attempts achieved is kept with them."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0020_flow_results"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Nobody knows it of those that have ended."""
    op.add_column("flows", sa.Column("result", sa.Text))
    op.add_column("flow_attempts", sa.Column("result", sa.Text))
