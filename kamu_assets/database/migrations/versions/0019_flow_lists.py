"""Lists of flows by who asked for them, and by type, are counted and read by index."""

from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0019_flow_lists"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Rows stay as they are."""
    op.create_index("ix_flows_initiator", "flows", ["initiator", "id"])
    op.create_index("ix_flows_type", "flows", ["type", "id"])
