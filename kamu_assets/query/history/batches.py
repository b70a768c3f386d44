"""Queries that have ended, on their way to the database: many at a time, on a thread of their own.

A query waits for none of this. What came in the last second before a process is killed is lost; what cannot be written
for longer than the buffer lasts is dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from kamu_assets.errors import ConflictError, UnavailableError
from kamu_assets.monitoring import metrics
from kamu_assets.query.history.running import RunningQuery

log = structlog.get_logger(__name__)

GATHER_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 5.0
# How much may wait: queries, and characters in their texts.
MOST_QUERIES: Final = 10_000
MOST_TEXT: Final = 16 << 20
_AT_ONCE: Final = 500


class Batches:
    """Safe to use from any number of threads; costs nothing while nothing is asked."""

    def __init__(
        self,
        write: Callable[[Sequence[RunningQuery]], None],
        *,
        tend: Callable[[], bool],
        gather_seconds: float = GATHER_SECONDS,
        most: int = MOST_QUERIES,
    ) -> None:
        """`tend` is called at each turn; there are further ones as long as it says so."""
        self._write = write
        self._tend = tend
        self._gather_seconds = gather_seconds
        self._most = most
        self._waiting: deque[RunningQuery] = deque()
        self._text = 0
        self._lock = threading.Lock()
        self._work = threading.Event()
        # Do not gather any longer.
        self._hurry = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_troubled = False

    def put(self, query: RunningQuery) -> None:
        """Have it written soon."""
        with self._lock:
            if len(self._waiting) >= self._most or self._text >= MOST_TEXT:
                metrics.QUERY_RECORDS_DROPPED.add()
                return
            self._waiting.append(query)
            self._text += len(query.sql or "")
            if 2 * len(self._waiting) > self._most:
                self._hurry.set()
        self.begin()

    def begin(self) -> None:
        """There is something to do, or will be."""
        if self._work.is_set():
            return
        self._work.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="query-history", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits, unless that takes too long."""
        self._closing.set()
        self._hurry.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._work.wait()
            self._hurry.wait(self._gather_seconds)
            self._hurry.clear()
            self._work.clear()
            if not self._went_well(self._turn):
                # Before the next attempt, however much waits.
                self._closing.wait(self._gather_seconds)
        self._went_well(self._write_all)
        self._drop_rest()

    def _went_well(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, queries go on
            self._work.set()
            if not self._is_troubled:
                log.warning("query_history_not_written", reason=str(error))
            self._is_troubled = True
            return False
        self._is_troubled = False
        return True

    def _turn(self) -> None:
        self._write_all()
        if self._tend():
            self._work.set()

    def _write_all(self) -> None:
        while batch := self._taken():
            try:
                self._write(batch)
            except (UnavailableError, ConflictError):
                self._put_back(batch)
                raise
            except Exception:
                # It would be the same next time, and whatever comes after it would wait for ever.
                metrics.QUERY_RECORDS_DROPPED.add(by=len(batch))
                raise

    def _taken(self) -> Sequence[RunningQuery]:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            self._text -= _text_of(batch)
        return batch

    def _put_back(self, batch: Sequence[RunningQuery]) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(batch))
            self._text += _text_of(batch)

    def _drop_rest(self) -> None:
        with self._lock:
            metrics.QUERY_RECORDS_DROPPED.add(by=len(self._waiting))
            self._waiting.clear()


def _text_of(batch: Iterable[RunningQuery]) -> int:
    return sum(len(query.sql or "") for query in batch)
