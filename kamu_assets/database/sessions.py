"""One connection from the begin to the end of a transaction."""

import sqlite3
from typing import Protocol

from sqlalchemy import Connection, Engine, PoolProxiedConnection

from kamu_assets.database.connections import begin_sqlite
from kamu_assets.database.crowds import connected
from kamu_assets.database.frequent import as_sqlalchemy


class Session(Protocol):
    """What a transaction runs on."""

    @property
    def connection(self) -> Connection:
        """For any statement."""
        ...

    @property
    def driver(self) -> sqlite3.Connection | None:
        """For frequent statements, where there is a shorter way."""
        ...

    def commit(self) -> None: ...

    def close(self) -> None:
        """Roll back what is not committed."""
        ...


def begin(engine: Engine, *, writes: bool) -> Session:
    """A session in a transaction that has begun."""
    return SqliteSession(engine, writes=writes) if engine.dialect.name == "sqlite" else OrdinarySession(engine)


class OrdinarySession:
    """All by SQLAlchemy."""

    driver = None

    def __init__(self, engine: Engine) -> None:
        self.connection = connected(engine)
        self.connection.begin()

    def commit(self) -> None:
        self.connection.commit()

    def close(self) -> None:
        self.connection.close()


class SqliteSession:
    """SQLAlchemy joins when a statement needs it: making it ready takes longer than a commit's statements."""

    def __init__(self, engine: Engine, *, writes: bool) -> None:
        self._engine = engine
        self._joined: Connection | None = None
        self._pooled, self.driver = _taken(engine)
        try:
            begin_sqlite(self.driver, writes=writes)
        except BaseException:
            self._pooled.close()
            raise

    @property
    def connection(self) -> Connection:
        if self._joined is None:
            self._joined = Connection(self._engine, connection=self._pooled)
            self._joined.begin()
        return self._joined

    def commit(self) -> None:
        if self._joined is not None:
            self._joined.commit()
            return
        try:
            self.driver.commit()
        except sqlite3.Error as error:
            raise as_sqlalchemy("COMMIT", error) from error

    def close(self) -> None:
        (self._joined or self._pooled).close()


def _taken(engine: Engine) -> tuple[PoolProxiedConnection, sqlite3.Connection]:
    try:
        pooled = engine.raw_connection()
    except sqlite3.Error as error:
        raise as_sqlalchemy("connect", error) from error
    if not isinstance(pooled.driver_connection, sqlite3.Connection):
        raise TypeError(type(pooled.driver_connection))
    return pooled, pooled.driver_connection
