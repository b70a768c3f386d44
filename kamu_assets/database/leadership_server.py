"""Roles among all clients of a PostgreSQL database: an advisory lock of a connection of its own."""

import os
from typing import Any
from zlib import crc32

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, column, func, select, table, tuple_
from sqlalchemy.exc import DBAPIError

from kamu_assets.database.errors import told_plainly
from kamu_assets.database.leadership import Leadership, Sign
from kamu_assets.database.noticing import notice_soon

# Our own among the pairs of numbers by which applications lock.
_SPACE = 0x6B616D75
# What PostgreSQL tells of such locks, and of who has them (pg_locks and pg_stat_activity in its manual).
_TWO_NUMBERS = 2
_locks = table("pg_locks", *map(column, ("locktype", "database", "classid", "objid", "objsubid", "granted", "pid")))
_databases = table("pg_database", column("oid"), column("datname"))
_sessions = table("pg_stat_activity", *map(column, ("pid", "backend_start", "state_change")))


class ServerLeadership(Leadership):
    """For all clients of a PostgreSQL database. The last statement of the lock's session is a sign of life."""

    def __init__(self, engine: Engine, name: str, *, lasting: bool = False) -> None:
        super().__init__(name, lasting=lasting)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        # Numbers of four bytes have a sign.
        self._lock = (_SPACE, crc32(name.encode()) - 2**31)
        self._connection: Connection | None = None
        self._inherited: Connection | None = None

    def _try(self) -> bool:
        if self.holds():
            return True
        with told_plainly():
            connection = self._engine.connect()
            try:
                if connection.scalar(select(func.pg_try_advisory_lock(*self._lock))):
                    if self._is_lasting:
                        # Else it would take hours until a machine that vanished is noticed.
                        notice_soon(connection)
                    self._connection = connection
            except BaseException:
                # It has the lock, perhaps, as long as it is open.
                connection.invalidate()
                raise
            finally:
                if self._connection is None:
                    connection.close()
        return self._connection is not None

    def holds(self) -> bool:
        return self._connection is not None and self._answers(self._connection)

    def is_vacant(self) -> bool:
        return self._found(select(_locks.c.pid).where(*self._ours())) is None

    def _sign(self) -> Sign | None:
        session = select(_sessions).join(_locks, _locks.c.pid == _sessions.c.pid)
        found = self._found(session.where(*self._ours()))
        # Those of other users are not shown.
        return None if found is None or found.state_change is None else tuple(found)

    def _depose(self, sign: Sign) -> bool:
        """End the session, which may be of another machine."""
        silent = tuple_(_sessions.c.pid, _sessions.c.backend_start, _sessions.c.state_change) == sign
        return self._found(select(func.pg_terminate_backend(_sessions.c.pid)).where(silent)) is not None

    def _ours(self) -> tuple[ColumnElement[bool], ...]:
        """Of locks: those of this role."""
        here = select(_databases.c.oid).where(_databases.c.datname == func.current_database()).scalar_subquery()
        space, number = (each % 2**32 for each in self._lock)
        held = (_locks.c.locktype == "advisory", _locks.c.database == here, _locks.c.granted)
        return *held, _locks.c.classid == space, _locks.c.objid == number, _locks.c.objsubid == _TWO_NUMBERS

    def _found(self, query: Select[Any]) -> Row[Any] | None:
        with told_plainly(), self._engine.connect() as connection:
            return connection.execute(query).first()

    def resign(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute(select(func.pg_advisory_unlock(*self._lock)))
            if self._is_lasting:
                # Nobody else should be as impatient.
                connection.invalidate()
        except DBAPIError:
            # It ended with its connection.
            connection.invalidate()
        finally:
            connection.close()

    def _answers(self, connection: Connection) -> bool:
        """Whether the server has not forgotten us."""
        try:
            connection.execute(select(1))
        except DBAPIError:
            self._connection = None
            connection.invalidate()
            connection.close()
            return False
        return True

    def _forked(self) -> None:
        # Kept so that it is never closed, which would speak to the parent's server.
        self._inherited, self._connection = self._connection, None
        driver = self._inherited.connection.driver_connection if self._inherited is not None else None
        if driver is not None:
            # The server believes us alive as long as somebody has the connection open.
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(nothing, driver.fileno(), inheritable=False)
            os.close(nothing)
