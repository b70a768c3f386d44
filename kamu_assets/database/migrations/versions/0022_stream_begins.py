"""After which message a stream of the outbox begins."""

import sqlalchemy as sa
from alembic import op

from kamu_assets.database.migrations.state import predecessor

revision = "0022_stream_begins"
down_revision = predecessor(revision)


def upgrade() -> None:
    """Nobody knows it of a stream that was begun before; the next relay begins another."""
    op.add_column("outbox_streams", sa.Column("begun_after", sa.BigInteger()))
