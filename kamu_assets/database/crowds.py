"""A database server that has no connection left is waited for: whoever has one gives it back soon."""

import random
import time
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from kamu_assets.monitoring import metrics

PATIENCE_SECONDS: Final = 30.0
_LONGEST_PAUSE: Final = 0.25
# Of a failed connection the driver has no code, but the server's words.
_CROWDED: Final = ("too many clients", "too many connections", "remaining connection slots")


def is_crowded(error: BaseException | None) -> bool:
    """Whether a server let nobody in any more."""
    return any(words in str(error) for words in _CROWDED)


def connected(engine: Engine) -> Connection:
    """A connection, once the server has one, or somebody of this process gives back theirs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if not is_crowded(error.orig) or time.monotonic() >= deadline:
                raise
        metrics.DATABASE_WAITS.add()
        # Not all at the same moment again.
        time.sleep(random.uniform(_LONGEST_PAUSE / 5, _LONGEST_PAUSE))  # noqa: S311 - nothing to guess
