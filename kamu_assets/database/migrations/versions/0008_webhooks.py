"""Subscriptions of web servers, and deliveries to them."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0008_webhooks"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "webhook_subscriptions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("dataset_id", sa.Text()),
        sa.Column("target_url", sa.Text(), nullable=False),
        sa.Column("event_types", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("told_head", sa.Text()),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_webhook_subscriptions_dataset_id", "webhook_subscriptions", ["dataset_id"])
    labeled = sa.text("label != '' AND status != 'REMOVED'")
    _unique("uq_webhook_subscriptions_label", "webhook_subscriptions", ["dataset_id", "label"], labeled)
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("subscription_id", sa.String(36), nullable=False),
        sa.Column("event_type", sa.String(32), nullable=False),
        sa.Column("dataset_id", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("old_hash", sa.Text()),
        sa.Column("new_hash", sa.Text()),
        sa.Column("is_breaking", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("response_status", sa.Integer()),
        sa.Column("message", sa.Text()),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_webhook_deliveries_subscription", "webhook_deliveries", ["subscription_id", "number"])
    op.create_index("ix_webhook_deliveries_dataset_id", "webhook_deliveries", ["dataset_id"])
    op.create_index("ix_webhook_deliveries_finished_at", "webhook_deliveries", ["finished_at"])
    unfinished = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_webhook_deliveries_open",
        "webhook_deliveries",
        ["due_at"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    waiting = ["subscription_id", "dataset_id", "event_type"]
    _unique("uq_webhook_deliveries_waiting", "webhook_deliveries", waiting, sa.text("state = 'WAITING'"))


def _unique(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=where, postgresql_where=where)
