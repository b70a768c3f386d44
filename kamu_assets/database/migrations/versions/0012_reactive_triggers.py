"""Triggers that react, and triggers that are stopped after failures; when they were paused."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0012_reactive_triggers"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the columns; what is paused was paused at an unknown time."""
    op.add_column("flow_triggers", sa.Column("stop_after", sa.Integer()))
    for name in ("paused_at", "stopped_at"):
        op.add_column("flow_triggers", sa.Column(name, sa.BigInteger()))
    op.add_column("flow_triggers", sa.Column("stop_reason", sa.String(32)))
    op.execute("UPDATE flow_triggers SET paused_at = 0 WHERE paused")
    with op.batch_alter_table("flow_triggers") as table:
        table.drop_column("paused")
