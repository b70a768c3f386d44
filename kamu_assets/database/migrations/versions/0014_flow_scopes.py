"""Flows are about datasets, receivers of webhooks, or the node."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0014_flow_scopes"
down_revision = predecessor(revision)


def upgrade() -> None:
    """What there was is about datasets."""
    op.drop_index("uq_flows_live", "flows")
    with op.batch_alter_table("flows") as table:
        table.add_column(sa.Column("scope", sa.Text()))
        table.alter_column("dataset_id", existing_type=sa.Text(), nullable=True)
    op.execute("UPDATE flows SET scope = dataset_id")
    with op.batch_alter_table("flows") as table:
        table.alter_column("scope", existing_type=sa.Text(), nullable=False)
    live = sa.text("state != 'FINISHED'")
    op.create_index("uq_flows_live", "flows", ["scope", "type"], unique=True, sqlite_where=live, postgresql_where=live)
    with op.batch_alter_table("flow_processes") as table:
        table.alter_column("dataset_id", new_column_name="scope", existing_type=sa.Text())
