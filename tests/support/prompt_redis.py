"""Redis between processes, without threads: what is posted has been relayed when the posting returns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kamu_assets.database.database import Database
from kamu_assets.database.outbox_redis import RedisTransport
from kamu_assets.database.outbox_relay import Relay
from kamu_assets.database.outbox_stream import MAX_ENTRIES, Stream, StreamUnavailableError
from kamu_assets.database.wakeups import Wakeups


class PromptRedis(RedisTransport):
    """Relays, if it can, as soon as something was posted."""

    def __init__(self, *, database: Database, stream: Stream, wakeups: Wakeups) -> None:
        super().__init__(database=database, stream=stream, wakeups=wakeups)
        self.stream = stream
        self.relay = Relay(database=database, stream=stream, wakeups=wakeups)
        # A relay is for one thread at a time.
        self._relaying = threading.Lock()

    def posted(self) -> None:
        super().posted()
        self.wake()
        with suppress(StreamUnavailableError):
            self.step()

    def step(self) -> None:
        with self._relaying:
            while self.relay.step() == 0:
                pass


@contextmanager
def prompt_redis(
    url: str, database: Database, wakeups: Wakeups, *, max_entries: int = MAX_ENTRIES
) -> Iterator[PromptRedis]:
    transport = PromptRedis(database=database, stream=Stream(url, max_entries=max_entries), wakeups=wakeups)
    try:
        yield transport
    finally:
        transport.relay.resign()
        transport.close()
