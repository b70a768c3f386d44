"""Who alone may do something, among all processes and threads that share a database.

On PostgreSQL that is an advisory lock of a connection of its own, beside a SQLite file a locked file. Both end with
their process, however it ends, so nobody waits for a time to pass. A forked child does not have its parent's.
"""

import fcntl
import os
import re
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self
from zlib import crc32

from sqlalchemy import Connection, Engine, column, func, select, table
from sqlalchemy.exc import DBAPIError

from kamu_assets.database.errors import told_plainly
from kamu_assets.database.noticing import notice_soon

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
# Our own among the pairs of numbers by which applications lock.
_SPACE = 0x6B616D75
# What PostgreSQL tells of such locks (pg_locks in its manual).
_TWO_NUMBERS = 2
_locks = table("pg_locks", *map(column, ("locktype", "database", "classid", "objid", "objsubid", "granted", "pid")))
_databases = table("pg_database", column("oid"), column("datname"))
_open: "weakref.WeakSet[Leadership]" = weakref.WeakSet()


class Leadership(ABC):
    """A role that one at a time has; each thread that wants it has an object of its own."""

    def __init__(self) -> None:
        _open.add(self)

    @abstractmethod
    def take(self) -> bool:
        """Have the role, unless somebody else has it; tells whether it is ours. Repeat it to know that it still is."""

    @abstractmethod
    def holds(self) -> bool:
        """Whether what was taken is ours still, without a moment in which somebody else could have had it."""

    @abstractmethod
    def resign(self) -> None:
        """Let others have it; harmless where we have it not."""

    @abstractmethod
    def is_vacant(self) -> bool:
        """Whether nobody has the role now. Only to tell people of it: a moment later somebody may."""

    @abstractmethod
    def _forked(self) -> None:
        """Leave it to the parent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resign()


class FileLeadership(Leadership):
    """For processes of one machine."""

    def __init__(self, database: Path, name: str) -> None:
        super().__init__()
        self._path = database.with_name(f"{database.name}.{_checked(name)}.lock")
        self._descriptor: int | None = None

    def take(self) -> bool:
        if self._descriptor is None:
            self._descriptor = _locked(self._path, fcntl.LOCK_EX)
        return self.holds()

    def holds(self) -> bool:
        if self._descriptor is None:
            return False
        if _is_at(self._path, self._descriptor):
            return True
        # Others find another file there, or none, and lock that.
        self.resign()
        return False

    def is_vacant(self) -> bool:
        if self._descriptor is not None:
            return False
        if not self._path.exists():
            return True
        descriptor = _locked(self._path, fcntl.LOCK_SH)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def resign(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    # The lock lasts until the last copy is closed.
    _forked = resign


class ServerLeadership(Leadership):
    """For all clients of a PostgreSQL database."""

    def __init__(self, engine: Engine, name: str, *, lasting: bool = False) -> None:
        super().__init__()
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        # Held for so long that it matters how soon a machine that vanished is noticed.
        self._is_lasting = lasting
        # Numbers of four bytes have a sign.
        self._lock = (_SPACE, crc32(_checked(name).encode()) - 2**31)
        self._connection: Connection | None = None
        self._inherited: Connection | None = None

    def take(self) -> bool:
        if self.holds():
            return True
        with told_plainly():
            connection = self._engine.connect()
            try:
                if connection.scalar(select(func.pg_try_advisory_lock(*self._lock))):
                    if self._is_lasting:
                        notice_soon(connection)
                    self._connection = connection
                    return True
            finally:
                if self._connection is None:
                    connection.close()
        return False

    def holds(self) -> bool:
        return self._connection is not None and self._answers(self._connection)

    def is_vacant(self) -> bool:
        here = select(_databases.c.oid).where(_databases.c.datname == func.current_database()).scalar_subquery()
        space, number = (each % 2**32 for each in self._lock)
        held = (_locks.c.locktype == "advisory", _locks.c.database == here, _locks.c.granted)
        ours = (_locks.c.classid == space, _locks.c.objid == number, _locks.c.objsubid == _TWO_NUMBERS)
        with told_plainly(), self._engine.connect() as connection:
            return connection.execute(select(_locks.c.pid).where(*held, *ours)).first() is None

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


def _locked(path: Path, kind: int) -> int | None:
    """The file, opened and locked; None while others have it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a role: lower case letters, digits and _.-, at most 100")
    return name


def _leave_to_parent() -> None:
    for leadership in list(_open):
        leadership._forked()  # noqa: SLF001 - our own class


os.register_at_fork(after_in_child=_leave_to_parent)
