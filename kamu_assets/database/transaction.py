"""What a store is given: statements that succeed or fail together."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import structlog
from sqlalchemy import Connection, CursorResult, Executable, Table, func, inspect, select, text
from sqlalchemy.dialects import sqlite

from kamu_assets.database.errors import told_plainly
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.sessions import Session

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

log = structlog.get_logger(__name__)

Row = Mapping[str, Any]


class Transaction:
    """A unit of work on one connection. Stores execute on it; only `Database` begins and ends it."""

    def __init__(self, session: Session, *, writes: bool) -> None:
        self._session = session
        self._writes = writes
        self._before_commit: list[Callable[[], None]] = []
        self._on_commit: list[Callable[[], None]] = []

    @property
    def _connection(self) -> Connection:
        return self._session.connection

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, where a writer is alone."""
        return self._session.driver is not None

    def execute(self, statement: Executable, parameters: Row | Sequence[Row] | None = None) -> CursorResult[Any]:
        """Run a statement, or one for each row of parameters."""
        if statement.is_dml and not self._writes:
            raise RuntimeError("reading() cannot write: use transaction()")
        with told_plainly():
            return self._connection.execute(statement, parameters)

    def find(self, statement: Frequent, parameters: Row) -> Sequence[Any]:
        """The rows that a frequent statement finds."""
        if driver := self._session.driver:
            return statement.execute(driver, parameters)[1]
        with told_plainly():
            return self._connection.execute(statement.statement, parameters).all()

    def change(self, statement: Frequent, *rows: Row) -> int:
        """Run a frequent statement for each row of parameters; tells how many rows of the table changed."""
        if not self._writes:
            raise RuntimeError("reading() cannot write: use transaction()")
        if not rows:
            return 0
        if driver := self._session.driver:
            return sum(statement.execute(driver, row)[0] for row in rows)
        with told_plainly():
            return self._connection.execute(statement.statement, rows[0] if len(rows) == 1 else rows).rowcount

    def insert(self, table: Table) -> "postgresql.Insert":
        """An INSERT that can say `on_conflict_do_update` or `on_conflict_do_nothing` on either database."""
        if self.is_sqlite:
            return sqlite.insert(table)  # type: ignore[return-value] # both say ON CONFLICT in the same words
        # Loaded with its driver, and not where there is none.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def has_table(self, name: str) -> bool:
        """Whether there is a table of this name."""
        with told_plainly():
            return inspect(self._connection).has_table(name)

    def lock(self, name: str) -> None:
        """Be the only transaction that holds the lock of this name, until the end."""
        if not self.is_sqlite:
            self.execute(select(func.pg_advisory_xact_lock(crc32(name.encode()))))

    def overwrite_what_is_freed(self) -> None:
        """Of SQLite: have the bytes of what is removed from now on set to zero. The connection remembers it."""
        self.execute(text("PRAGMA secure_delete = ON")).close()

    def before_commit(self, action: Callable[[], None]) -> None:
        """Do something last in the transaction; a failure rolls it back."""
        self._before_commit.append(action)

    def on_commit(self, action: Callable[[], None]) -> None:
        """Do something once the transaction is durable; it must not matter whether it succeeds."""
        self._on_commit.append(action)

    def finish(self) -> None:
        """Do what was put off to the end. For `Database`."""
        while self._before_commit:
            self._before_commit.pop(0)()

    def announce(self) -> None:
        """Do what had to wait for the commit. For `Database`."""
        for action in self._on_commit:
            try:
                action()
            except Exception:
                # The change is made; whoever waits for this also looks by itself now and then.
                log.exception("on_commit_failed")
