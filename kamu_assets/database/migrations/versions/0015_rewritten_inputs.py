"""Why a derivative could not be computed on: the input that was rewritten."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0015_rewritten_inputs"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Add the columns; of older failures only their messages tell."""
    for name in ("flows", "flow_attempts"):
        op.add_column(name, sa.Column("rewritten_input", sa.Text()))
