"""How far the work of a run has come, in its log."""

import logging
import threading
import time

SECONDS_BETWEEN = 10.0


class ProgressLog:
    """Tells it now and then, from the thread of the run only: Dagster's log is not for others."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._thread = threading.current_thread()
        self._next = time.monotonic() + SECONDS_BETWEEN

    def tell(self, text: str, *facts: object) -> None:
        """Unless something was told a moment ago."""
        if threading.current_thread() is not self._thread or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SECONDS_BETWEEN
        self._log.info(text, *facts)
