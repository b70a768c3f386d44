"""Connections to Dagster's SQLite files that stay open.

Dagster opens and closes a file for every statement. Each time SQLAlchemy compiles the statement anew, and closing folds
the write-ahead log into the file and syncs both: more work than the statement itself.
"""

import sqlite3
from collections import OrderedDict
from typing import Any

from sqlalchemy import Engine, create_engine, event

BUSY_SECONDS = 60
# Files of runs that are open at the same time.
OPEN_FILES = 16


def lasting_engine(conn_string: str) -> Engine:
    """An engine whose connections are reused.

    Dagster's records follow our own tables: a power cut may cost their last rows, which the reconciler makes good, and
    never their order or soundness.
    """
    engine = create_engine(
        conn_string, pool_size=2, max_overflow=50, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine


class Engines:
    """Engines of the files used last."""

    def __init__(self, *, limit: int = OPEN_FILES) -> None:
        self._limit = limit
        self._engines: OrderedDict[str, Engine] = OrderedDict()

    def get(self, conn_string: str) -> Engine:
        engine = self._engines.pop(conn_string, None) or lasting_engine(conn_string)
        self._engines[conn_string] = engine
        if len(self._engines) > self._limit:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def forget(self, conn_string: str) -> None:
        """Close a file that will be removed."""
        if (engine := self._engines.pop(conn_string, None)) is not None:
            engine.dispose()

    def dispose(self) -> None:
        while self._engines:
            self._engines.popitem()[1].dispose()
