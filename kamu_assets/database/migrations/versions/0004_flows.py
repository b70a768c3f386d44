"""Flows and the triggers that start them."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0004_flows"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "flows",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("cause_kind", sa.String(32), nullable=False),
        sa.Column("cause_account", sa.Text()),
        sa.Column("cause_input", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(36)),
        sa.Column("root_run_id", sa.String(36)),
        sa.Column("parent_run_id", sa.String(36)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(None, "flows", ["run_id"])
    op.create_index("ix_flows_state_created", "flows", ["state", "created_at"])
    op.create_index("ix_flows_dataset_created", "flows", ["dataset_id", "created_at"])
    for state in ("WAITING", "RUNNING"):
        live = sa.text(f"state = '{state}'")
        name = f"uq_flows_{state.lower()}"
        op.create_index(name, "flows", ["dataset_id"], unique=True, sqlite_where=live, postgresql_where=live)
    op.create_table(
        "flow_triggers",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("rule_kind", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(255), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id"),
    )
    op.create_index(None, "flow_triggers", ["next_due"])
