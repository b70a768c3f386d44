"""Runs migrations without a configuration file, one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from kamu_assets.database.connections import sqlite_writer
from kamu_assets.database.errors import DatabaseNewerError
from kamu_assets.database.migrations.state import revisions
from kamu_assets.durability import Durability

# Any number that no other program uses for its advisory locks.
_LOCK = 0x6B616D75
FOLDER = Path(__file__).parent


def migrate(url: URL, durability: Durability) -> None:
    """Apply what is missing, all or nothing."""
    engine = _engine(url, durability)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _check_known(connection)
            upgrade(connection)
    finally:
        engine.dispose()


def _check_known(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = revisions()
    if found is not None and found not in known:
        raise DatabaseNewerError(found, known[-1])


def upgrade(connection: Connection) -> None:
    """Apply what is missing on a connection that is in a transaction."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(url: URL, durability: Durability) -> Engine:
    if url.get_backend_name() == "sqlite":
        # Altering a SQLite table replaces it, which foreign keys would not allow. BEGIN IMMEDIATE is the lock.
        return sqlite_writer(url, durability, foreign_keys=False)
    return create_engine(url.set(drivername="postgresql+psycopg2"), poolclass=NullPool)
