"""What was asked, and what became of it."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0016_queries"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "queries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("account_id", sa.Text()),
        sa.Column("door", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(64)),
        sa.Column("sql", sa.Text()),
        sa.Column("sql_length", sa.Integer(), nullable=False),
        sa.Column("datasets", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("waited_ns", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("peak_bytes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.String(64)),
        sa.Column("message", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_queries_account_id", "queries", ["account_id", "id"])
    unusual = sa.text("state != 'OK'")
    op.create_index("ix_queries_unusual", "queries", ["state", "id"], sqlite_where=unusual, postgresql_where=unusual)
