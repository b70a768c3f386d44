"""Lists of flows that ended in a certain way."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0023_flow_outcomes"
down_revision = predecessor(revision)


def upgrade() -> None:
    """What is live has no outcome."""
    ended = sa.text("outcome IS NOT NULL")
    op.create_index("ix_flows_outcome", "flows", ["outcome", "id"], sqlite_where=ended, postgresql_where=ended)
