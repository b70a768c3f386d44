"""Datasets: registry, references, block index, sums, inputs."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0003_datasets"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Create the tables."""
    _registry()
    _blocks()
    op.create_table(
        "dataset_statistics",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("slices", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("data_size", sa.BigInteger(), nullable=False),
        sa.Column("checkpoints_size", sa.BigInteger(), nullable=False),
        sa.Column("last_offset", sa.BigInteger()),
        sa.Column("watermark", sa.Text()),
        sa.Column("updated_at", sa.Text()),
        sa.Column("pulled_at", sa.Text()),
        sa.PrimaryKeyConstraint("dataset_id"),
    )
    op.create_table(
        "dataset_inputs",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("input_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "position"),
    )
    op.create_index(None, "dataset_inputs", ["input_id"])


def _registry() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folded_account", sa.Text(), nullable=False),
        sa.Column("folded_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("folded_account", "folded_name"),
    )
    op.create_index(None, "datasets", ["owner_id"])
    op.create_table("dataset_removals", sa.Column("id", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("id"))
    op.create_table(
        "dataset_references",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "name"),
    )


def _blocks() -> None:
    op.create_table(
        "dataset_blocks",
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("sequence_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.Column("event_kind", sa.SmallInteger(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("system_time", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data_hash", sa.Text()),
        sa.Column("data_logical_hash", sa.Text()),
        sa.Column("data_size", sa.BigInteger()),
        sa.Column("first_offset", sa.BigInteger()),
        sa.Column("last_offset", sa.BigInteger()),
        sa.Column("checkpoint_hash", sa.Text()),
        sa.Column("checkpoint_size", sa.BigInteger()),
        sa.Column("previous_watermark", sa.Text()),
        sa.Column("watermark", sa.Text()),
        sa.PrimaryKeyConstraint("dataset_id", "sequence_number"),
        sa.UniqueConstraint("dataset_id", "block_hash"),
    )
    op.create_index(None, "dataset_blocks", ["dataset_id", "event_kind", "sequence_number"])
    op.create_index(
        "ix_dataset_blocks_subject",
        "dataset_blocks",
        ["dataset_id", "event_kind", "sequence_number"],
        sqlite_where=sa.text("subject IS NOT NULL"),
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
