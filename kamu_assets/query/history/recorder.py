"""Notes every query, whichever door it came through: all of them pass the query service, which calls this."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.monitoring import metrics
from kamu_assets.query.history.batches import GATHER_SECONDS, Batches
from kamu_assets.query.history.model import Origin
from kamu_assets.query.history.running import RunningQuery
from kamu_assets.query.history.service import QueryHistory

# Shorter ones are written when they have ended, and only then.
_LONG_SECONDS: Final = 1.0


class QueryRecorder:
    """Of a process: knows the queries that run in it, and writes to the history of all."""

    def __init__(self, history: QueryHistory | None, *, clock: Clock, gather_seconds: float = GATHER_SECONDS) -> None:
        """Without a history, queries are counted only."""
        self._clock = clock
        self._running: dict[str, RunningQuery] = {}
        self._batches: Batches | None = None
        if history is not None:
            self._batches = Batches(history.add, tend=partial(self._tend, history), gather_seconds=gather_seconds)

    @contextmanager
    def recording(
        self, caller: Caller, origin: Origin, sql: str | None, *, cancel: threading.Event | None
    ) -> Iterator[RunningQuery]:
        """Around a query, which notes what it learns; its `cancel` is the given event, which others may set, too."""
        query = RunningQuery(caller, origin, sql, cancel=cancel, now=self._clock.now())
        self._running[query.id] = query
        if self._batches is not None:
            self._batches.begin()
        try:
            yield query
        except BaseException as error:
            self._end(query, origin, error)
            raise
        self._end(query, origin, None)

    def close(self) -> None:
        """Write what is not written yet."""
        if self._batches is not None:
            self._batches.close()

    def _end(self, query: RunningQuery, origin: Origin, error: BaseException | None) -> None:
        del self._running[query.id]
        record = query.ended(self._clock.now(), error)
        metrics.QUERY_SECONDS.observe(record.seconds, origin.door.value, record.state.value)
        if self._batches is not None:
            self._batches.put(record)

    def _tend(self, history: QueryHistory) -> bool:
        """Show the queries that take long, and cancel those that somebody wants cancelled."""
        now = self._clock.now()
        running = list(self._running.values())
        long = [query for query in running if now.ns - query.started_at.ns >= _LONG_SECONDS * 1e9]
        if long:
            cancelled = history.tend([query.so_far(now) for query in long])
            for query in long:
                if query.id in cancelled:
                    query.cancel.set()
        return bool(running)
