"""Where transactions begin and end."""

import contextlib
import copy
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, Pool

from kamu_assets.database.connections import BUSY_SECONDS, connect, parse_url
from kamu_assets.database.errors import DatabaseBusyError, DatabaseOutdatedError, told_plainly
from kamu_assets.database.leadership import Leadership
from kamu_assets.database.leadership_files import FileLeadership
from kamu_assets.database.leadership_server import ServerLeadership
from kamu_assets.database.notices import Notices
from kamu_assets.database.privacy import close_to_others
from kamu_assets.database.sessions import begin
from kamu_assets.database.transaction import Transaction
from kamu_assets.durability import Durability
from kamu_assets.errors import UnavailableError

_open: "weakref.WeakSet[Database]" = weakref.WeakSet()


class Database:
    """A SQLite file or a PostgreSQL database; shared by threads, usable after a fork."""

    def __init__(self, url: str, durability: Durability) -> None:
        self._url = parse_url(url)
        self._durability = durability
        self._connections = connect(self._url, durability)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._here = threading.local()
        # Threads queue here instead of polling SQLite's lock.
        self._writing = threading.Lock()
        self._inherited: list[Pool] = []
        self._fence: Callable[[Transaction], None] | None = None
        _open.add(self)

    @classmethod
    def open(cls, url: str, *, durability: Durability = Durability.FULL) -> Self:
        """The database at `sqlite:///path` or `postgresql://user@host/name`; connects when first used."""
        return cls(url, durability)

    @classmethod
    def temporary(cls) -> Self:
        """A new, empty SQLite database that ends with this object."""
        folder = tempfile.mkdtemp(prefix="kamu-database-")
        database = cls(f"sqlite:///{folder}/node.db", Durability.FAST)
        weakref.finalize(database, shutil.rmtree, folder, ignore_errors=True)
        return database

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit what the block does, or none of it when it raises."""
        if getattr(self._here, "writing", False):
            raise RuntimeError("transactions do not nest: pass the open one on")
        self._here.writing = True
        try:
            with self._turn(), self._begun(self._connections.writer, writes=True) as tx:
                if self._fence is not None:
                    self._fence(tx)
                yield tx
                tx.finish()
        finally:
            self._here.writing = False
        tx.announce()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One moment of the database; writing fails."""
        with self._begun(self._connections.reader, writes=False) as tx:
            yield tx

    def fenced(self, fence: Callable[[Transaction], None]) -> Self:
        """The same database for somebody whose every transaction begins with `fence`, which forbids it by raising."""
        other = copy.copy(self)
        other._fence = fence  # noqa: SLF001 - our own class
        _open.add(other)
        return other

    def leadership(self, name: str, *, lasting: bool = False) -> Leadership:
        """A role that one at a time has, among all who use this database; not taken yet. `lasting`: for minutes."""
        if self.file is not None:
            return FileLeadership(self.file, name, lasting=lasting)
        return ServerLeadership(self._connections.writer, name, lasting=lasting)

    @property
    def file(self) -> Path | None:
        """That of a SQLite database."""
        return Path(self._url.database).absolute() if self._is_sqlite and self._url.database else None

    @property
    def is_shared(self) -> bool:
        """Whether processes of other machines may use it."""
        return not self._is_sqlite

    def notices(self, channel: str) -> Notices:
        """What all who use a shared database say to each other, from now on."""
        return Notices(self._connections.writer, channel)

    def migrate(self, *, old: bool = True) -> None:
        """Bring the tables to the version of this code; safe from many processes at once.

        DatabaseOutdatedError for `old` ones that shall stay as they are.
        """
        if self._is_sqlite and self._url.database:
            close_to_others(Path(self._url.database).absolute())
        if self._is_current(old=old):
            return
        # Alembic takes longer to import than everything else here.
        from kamu_assets.database.migrations.runner import migrate

        with told_plainly():
            migrate(self._url, self._durability)

    def require_current(self) -> None:
        """Raise DatabaseOutdatedError unless the tables are of the version of this code."""
        from kamu_assets.database.migrations.state import require_current

        with self.reading() as tx:
            require_current(tx)

    def _is_current(self, *, old: bool) -> bool:
        try:
            self.require_current()
        except DatabaseOutdatedError as error:
            if error.found is not None and not old:
                raise
            return False
        except UnavailableError:
            return False
        return True

    def close(self) -> None:
        """Close all connections; using it again opens new ones."""
        self._connections.writer.dispose()
        self._connections.reader.dispose()

    @contextlib.contextmanager
    def _begun(self, engine: Engine, *, writes: bool) -> Iterator[Transaction]:
        with told_plainly():
            session = begin(engine, writes=writes)
        try:
            yield Transaction(session, writes=writes)
            # Reached only without an exception; closing the session rolls back.
            with told_plainly():
                session.commit()
        finally:
            session.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._is_sqlite:
            yield
            return
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise DatabaseBusyError
        try:
            yield
        finally:
            self._writing.release()

    def _after_fork(self) -> None:
        """Leave the parent's connections alone and open our own."""
        self._writing = threading.Lock()
        self._here = threading.local()
        for engine in (self._connections.writer, self._connections.reader):
            # Kept so that they are never closed: closing would speak to the parent's server or undo its locks.
            self._inherited.append(engine.pool)
            engine.dispose(close=False)


def _reopen_after_fork() -> None:
    for database in list(_open):
        database._after_fork()  # noqa: SLF001 - our own class


os.register_at_fork(after_in_child=_reopen_after_fork)
