"""Notes every query, whichever door it came through: all of them pass the query service, which calls this."""

import threading
from collections.abc import Sequence
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
        self._running: set[RunningQuery] = set()
        self._batches: Batches | None = None
        if history is not None:
            write, tend = partial(self._write, history), partial(self._tend, history)
            self._batches = Batches(write, tend=tend, gather_seconds=gather_seconds)

    def recording(
        self, caller: Caller, origin: Origin, sql: str | None, *, cancel: threading.Event | None
    ) -> RunningQuery:
        """To be put around a query, which notes what it learns; it is cancelled by the given event, or its own."""
        query = RunningQuery(caller, origin, sql, cancel=cancel, now=self._clock.now(), on_end=self._end)
        self._running.add(query)
        if self._batches is not None:
            self._batches.begin()
        return query

    def close(self) -> None:
        """Write what is not written yet."""
        if self._batches is not None:
            self._batches.close()

    def _end(self, query: RunningQuery, error: BaseException | None) -> None:
        now = self._clock.now()
        query.end(now, error)
        self._running.discard(query)
        metrics.QUERY_SECONDS.observe(query.seconds(now), query.origin.door.value, query.state.value)
        if self._batches is not None:
            self._batches.put(query)

    def _write(self, history: QueryHistory, ended: Sequence[RunningQuery]) -> None:
        now = self._clock.now()
        history.add([query.record(now) for query in ended])

    def _tend(self, history: QueryHistory) -> bool:
        """Show the queries that take long, and cancel those that somebody wants cancelled."""
        now = self._clock.now()
        running = list(self._running)
        long = [query for query in running if query.seconds(now) >= _LONG_SECONDS]
        if long:
            cancelled = history.tend([query.record(now) for query in long])
            for query in long:
                if query.id in cancelled:
                    query.cancel.set()
        return bool(running)
