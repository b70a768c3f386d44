"""Engines for SQLite and PostgreSQL that behave alike: writers never fail half way, readers see one moment."""

import contextlib
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from kamu_assets.database.frequent import as_sqlalchemy
from kamu_assets.database.noticing import NOTICED_SECONDS
from kamu_assets.durability import Durability
from kamu_assets.errors import InvalidError

BUSY_SECONDS = 30
POOL_SIZE = 5
POOL_OVERFLOW = 50
# A server that vanished, or a network that only drops what is sent, is noticed within a minute, not within hours.
_NOTICING = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


@dataclass(frozen=True, slots=True)
class Connections:
    """One engine to write with, one to read with."""

    writer: Engine
    reader: Engine


def connect(url: URL, durability: Durability) -> Connections:
    """Engines for the database at `url`; connects when first used."""
    match url.get_backend_name():
        case "sqlite" if url.database in {None, "", ":memory:"}:
            # Every connection would have its own; `Database.temporary` is what is meant.
            raise InvalidError("database.url: a SQLite database is a file, as in sqlite:///path")
        case "sqlite":
            return _sqlite(url, durability)
        case "postgresql" | "postgres":
            return _postgres(url, durability)
        case other:
            raise InvalidError(f"database.url: {other} is not supported, only sqlite and postgresql are")


def parse_url(text: str) -> URL:
    """Read a database URL."""
    try:
        return make_url(text)
    except Exception as error:
        raise InvalidError("database.url: not a URL like sqlite:///path or postgresql://user@host/name") from error


def _postgres(url: URL, durability: Durability) -> Connections:
    # As long as SQLite waits. Else whoever stops in the middle of a transaction would stop all others for ever.
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)}"
    if durability is not Durability.FULL:
        options += " -c synchronous_commit=off"
    engine = create_engine(
        url.set(drivername="postgresql+psycopg2"),
        pool_pre_ping=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        pool_timeout=BUSY_SECONDS,
        connect_args={"connect_timeout": 10, "application_name": "kamu-node", "options": options, **_NOTICING},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # Else whoever dies while it waits for a lock keeps those that it has until it would get that one.
        connection.autocommit = True
        # Not every system can tell a server of that.
        with contextlib.suppress(connection.Error), connection.cursor() as cursor:
            cursor.execute(f"SET client_connection_check_interval = {NOTICED_SECONDS * 1000}")
        connection.autocommit = False

    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Connections(engine, reader)


def _sqlite(url: URL, durability: Durability) -> Connections:
    return Connections(sqlite_writer(url, durability), _sqlite_reader(url))


def sqlite_writer(url: URL, durability: Durability, *, foreign_keys: bool = True) -> Engine:
    """An engine whose transactions take the write lock at once, so that they never fail half way."""
    synchronous = "FULL" if durability is Durability.FULL else "NORMAL"
    engine = _sqlite_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        _prepare(connection)
        # Counts in a new file only (`shrinking`).
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        begin_sqlite(connection.connection.driver_connection, writes=True)

    return engine


def _sqlite_reader(url: URL) -> Engine:
    engine = _sqlite_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        _prepare(connection)
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        begin_sqlite(connection.connection.driver_connection, writes=False)

    return engine


def begin_sqlite(driver: Any, *, writes: bool) -> None:
    """Begin a transaction, unless there is one: past all that SQLAlchemy does for ordinary statements."""
    if driver.in_transaction:
        return
    try:
        if writes:
            driver.execute("BEGIN IMMEDIATE")
        else:
            driver.execute("BEGIN")
            # The snapshot is taken by the first look, not by BEGIN.
            driver.execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()
    except sqlite3.Error as error:
        raise as_sqlalchemy("BEGIN", error) from error


def _sqlite_engine(url: URL) -> Engine:
    return create_engine(
        url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, connect_args={"check_same_thread": False}
    )


def _prepare(connection: sqlite3.Connection) -> None:
    # Transactions begin where we say so, not where the driver guesses.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and the writer not wait for each other; the first to open a new file may have to insist."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # The switch does not wait for other connections by itself.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
