"""Runs on their way to warm workers, and the workers."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0005_warm_runs"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "warm_runs",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("subject", sa.String(128)),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("enqueued_at", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    claimed = sa.text("owner IS NOT NULL")
    op.create_index(
        "uq_warm_runs_subject", "warm_runs", ["subject"], unique=True, sqlite_where=claimed, postgresql_where=claimed
    )
    op.create_table(
        "warm_workers",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
