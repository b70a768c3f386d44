"""Flows deliver to webhooks: they count failures and know when the next attempt is."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0021_webhook_flows"
down_revision = predecessor(revision)


def upgrade() -> None:
    """What is still to be sent gets its flow when the node starts."""
    op.drop_index("ix_webhook_deliveries_open", "webhook_deliveries")
    # In place: a copy of the table would lose what its other partial indexes are limited to.
    op.drop_column("webhook_deliveries", "due_at")
    op.add_column("webhook_deliveries", sa.Column("flow_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    is_open = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_webhook_deliveries_open",
        "webhook_deliveries",
        ["subscription_id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.execute("""
        INSERT INTO flow_processes (scope, type, consecutive_failures)
        SELECT 'webhook:' || id, 'WEBHOOK_DELIVER', consecutive_failures FROM webhook_subscriptions
        WHERE consecutive_failures > 0
    """)
    op.drop_column("webhook_subscriptions", "consecutive_failures")
    op.add_column("webhook_subscriptions", sa.Column("status_since", sa.BigInteger()))
    op.add_column("webhook_subscriptions", sa.Column("stop_reason", sa.String(32)))
