"""Which engines a run needs: each has only so many places."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0006_engines_of_runs"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the column."""
    op.add_column("warm_runs", sa.Column("engines", sa.Text()))
