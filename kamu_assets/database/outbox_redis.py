"""Redis between the processes of a node: they may be on many machines, and need not read the same rows again and again.

The table stays the truth. What the stream cannot give, for whatever reason, is read there.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.outbox_relay import RELAY, Relay, Watcher
from kamu_assets.database.outbox_store import OutboxStore, StoredMessage
from kamu_assets.database.outbox_stream import Stream, StreamUnavailableError
from kamu_assets.database.outbox_transport import CONSUMERS, TransportState
from kamu_assets.database.transaction import Transaction
from kamu_assets.database.wakeups import Wakeups

log = structlog.get_logger(__name__)

# How long a Redis that did not answer is left alone by those who read.
LEFT_ALONE_SECONDS = 5.0


class RedisTransport:
    """Who posts talks to the relays of its machine only, and so never waits for Redis."""

    def __init__(self, *, database: Database, stream: Stream, wakeups: Wakeups) -> None:
        self._database = database
        self._stream = stream
        self._wakeups = wakeups
        self._store = OutboxStore()
        self._left_alone_until = float("-inf")
        self._is_failing = False

    def posted(self) -> None:
        self._wakeups.notify(RELAY)

    def wake(self) -> None:
        self._wakeups.notify(CONSUMERS)

    def after(self, tx: Transaction, position: int, limit: int) -> list[StoredMessage]:
        return self._relayed_after(tx, position, limit) or self._store.after(tx, position, limit)

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        relay = Relay(database=self._database, stream=self._stream, wakeups=self._wakeups)
        watcher = Watcher(database=self._database, stream=self._stream, wakeups=self._wakeups)
        threads = [
            threading.Thread(target=relay.run, args=(stop,), name="outbox-relay"),
            threading.Thread(target=watcher.run, args=(stop,), name="outbox-watcher"),
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            self._wakeups.notify(RELAY)
            for thread in threads:
                thread.join()

    def state(self, tx: Transaction) -> TransportState:
        try:
            name = self._store.stream(tx)
            last = self._stream.last(name or "none")
        except StreamUnavailableError as error:
            return TransportState("redis", fault=str(error))
        if last is None:
            return TransportState("redis", relayed=self._store.stream_begun_after(tx))
        return TransportState("redis", relayed=int(last.partition("-")[0]))

    def close(self) -> None:
        self._stream.close()

    def _relayed_after(self, tx: Transaction, position: int, limit: int) -> list[StoredMessage]:
        # Who is new begins with the oldest message that is kept; streams may have older ones.
        if position == 0 or time.monotonic() < self._left_alone_until:
            return []
        name = self._store.stream(tx)
        try:
            found = self._stream.after(name, position, limit) if name is not None else []
        except StreamUnavailableError as error:
            if not self._is_failing:
                log.warning("outbox_is_read_from_its_table", reason=str(error))
            self._is_failing = True
            self._left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
            return []
        self._is_failing = False
        return found
