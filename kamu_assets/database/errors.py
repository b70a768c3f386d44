"""How the database fails, told from whatever the drivers raise."""

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kamu_assets.database.crowds import is_crowded
from kamu_assets.errors import ConflictError, InvalidError, UnavailableError

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_BROKEN = ("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_PERM")
# The second when it begins: the file that processes share gets no room.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# PostgreSQL: connection failure, insufficient resources, operator intervention, system error.
_POSTGRES_UNAVAILABLE = ("08", "53", "57P", "58")
_POSTGRES_CONFLICT = "40"
_POSTGRES_NO_LOCK = "55P03"
_POSTGRES_OUT_OF_RANGE = "22003"
_NO_ANSWER = "database unavailable: its server does not answer (setting database.url)"


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached or used now."""


class DatabaseBusyError(DatabaseUnavailableError):
    """Another transaction has been in the way for too long."""

    def __init__(self) -> None:
        super().__init__("database busy: another transaction has been in the way for too long; try again")


class DatabaseCrowdedError(DatabaseUnavailableError):
    """The server has had no connection left for too long."""

    def __init__(self) -> None:
        super().__init__(
            "database busy: its server has no connection left (PostgreSQL's max_connections); raise that, or have fewer"
            " workers (setting dagster.workers)"
        )


class DatabaseFullError(DatabaseUnavailableError):
    """There is no room for more rows."""

    def __init__(self) -> None:
        super().__init__("database unavailable: no space left on its disk; free some and try again")


class DatabaseOutdatedError(DatabaseUnavailableError):
    """The tables are not the ones this version of the node works with."""

    def __init__(self, found: str | None, expected: str) -> None:
        super().__init__(f"database is at migration {found or 'none'}, not {expected}: run `kamu-node migrate`")
        self.found = found
        self.expected = expected


class DatabaseNewerError(DatabaseUnavailableError):
    """The tables are those of a later version of the node."""

    def __init__(self, found: str, known: str) -> None:
        super().__init__(f"database is at migration {found}, but this node knows none after {known}: run a newer node")
        self.found = found


class DatabaseDamagedError(DatabaseUnavailableError):
    """The file is no database, or no whole one."""

    def __init__(self, reason: object) -> None:
        super().__init__(
            f"database damaged: {reason}. Move the file away with its -wal and -shm;"
            " `kamu-node doctor` then registers the datasets of the store in a new one"
        )


class TransactionConflictError(ConflictError):
    """The database rolled the transaction back in favour of another one: repeat it."""

    def __init__(self) -> None:
        super().__init__("another transaction was in the way and this one was rolled back")


class NumberTooLargeError(InvalidError):
    """A number has more than the 64 bits of a column. Chains of others may claim any."""

    def __init__(self) -> None:
        super().__init__("a number is too large: sizes, offsets and counts of records have at most 63 bits")


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Turn failures of the driver that are no bugs of ours into errors of ours."""
    try:
        yield
    except (PoolTimeoutError, OverflowError, PendingRollbackError, DBAPIError) as error:
        told = plainly(error)
        if told is error:
            raise
        raise told from error


def plainly(error: Exception) -> Exception:
    """An error of ours for one of the driver, or itself."""
    match error:
        case PoolTimeoutError():
            return DatabaseBusyError()
        case OverflowError():  # SQLite's driver tells before it sends.
            return NumberTooLargeError()
        case PendingRollbackError():
            # The connection was lost before, and whoever saw it went on.
            return DatabaseUnavailableError(_NO_ANSWER)
        case DBAPIError():
            return _sqlite_error(error) or _postgres_error(error) or error
        case _:
            return error


def _sqlite_error(error: DBAPIError) -> Exception | None:
    name = getattr(error.orig, "sqlite_errorname", "")
    if name.startswith(_BUSY):
        return DatabaseBusyError()
    if name.startswith(_FULL):
        return DatabaseFullError()
    if name.startswith(_DAMAGED):
        return DatabaseDamagedError(error.orig)
    if name.startswith(_BROKEN):
        return DatabaseUnavailableError(
            f"database unavailable: {error.orig}; the node must be able to write to its folder"
        )
    return None


def _postgres_error(error: DBAPIError) -> Exception | None:
    code = getattr(error.orig, "pgcode", "")
    if code == "53100":
        return DatabaseFullError()
    if is_crowded(error.orig):
        return DatabaseCrowdedError()
    # A lost connection has no code of its own.
    if error.connection_invalidated or code is None or code.startswith(_POSTGRES_UNAVAILABLE):
        return DatabaseUnavailableError(_NO_ANSWER)
    if code.startswith(_POSTGRES_CONFLICT):
        return TransactionConflictError()
    if code == _POSTGRES_OUT_OF_RANGE:
        return NumberTooLargeError()
    return DatabaseBusyError() if code == _POSTGRES_NO_LOCK else None
