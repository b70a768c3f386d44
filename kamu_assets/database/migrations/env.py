"""Alembic's entry: migrate the connection that `runner` prepared."""

from alembic import context

from kamu_assets.database.migrations.state import VERSION_TABLE
from kamu_assets.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    # For its names of constraints; the tables themselves are written out in the migrations.
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite alters a table by replacing it.
    render_as_batch=True,
    # The runner holds one transaction, and the lock, around all migrations.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
