"""Connections to Dagster's PostgreSQL that come through a restart of the server.

Dagster uses what it has kept open without a look, and after a failure tries again later each time: it still waits for
seconds when the server has been back for long.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DatabaseError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# As long as Dagster tries.
PATIENCE_SECONDS: Final = 6.0
RETRY_SECONDS: Final = 0.2
# What was used a moment ago is not asked whether it still answers.
FRESH_SECONDS: Final = 1.0
_LEFT: Final = "left_at"


@contextmanager
def connected(engine: Engine) -> Iterator[Connection]:
    """A connection until the end of the block."""
    connection = _opened(engine)
    try:
        yield connection
    finally:
        connection.close()


def examine(engine: Engine) -> None:
    """From now on replace connections that the server has closed meanwhile, instead of failing with them."""

    @event.listens_for(engine, "checkin")
    def note(_driver: Any, record: Any) -> None:
        record.info[_LEFT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(driver: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        if now - record.info.get(_LEFT, now) < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(driver)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool tries another one.
            raise DisconnectionError from error


def _opened(engine: Engine) -> Connection:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return engine.connect()
        except (DatabaseError, PoolTimeoutError) as error:
            if time.monotonic() > deadline:
                raise DagsterPostgresException("too many retries for DB connection") from error
        time.sleep(RETRY_SECONDS)
