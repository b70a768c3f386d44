"""Short texts to everybody who listens at the same PostgreSQL now (LISTEN and NOTIFY in its manual)."""

from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine, func, select, text

from kamu_assets.database.errors import told_plainly
from kamu_assets.database.noticing import notice_soon


class Notices:
    """A connection of its own; what is said while nobody has one is lost."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._channel = channel
        with told_plainly():
            self._connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
            notice_soon(self._connection)
            self._connection.execute(text(f'LISTEN "{channel}"'))

    def fileno(self) -> int:
        """For `select`: there may be something to hear."""
        return int(self._driver.fileno())

    def heard(self) -> list[str]:
        """What was said since the last time, by ourselves, too; raises when the server is gone."""
        driver = self._driver
        driver.poll()
        found = [notice.payload for notice in driver.notifies]
        driver.notifies.clear()
        return found

    def say(self, what: str) -> None:
        with told_plainly():
            self._connection.execute(select(func.pg_notify(self._channel, what)))

    @property
    def _driver(self) -> Any:
        return self._connection.connection.driver_connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Nobody else should go on listening.
        self._connection.invalidate()
        self._connection.close()
