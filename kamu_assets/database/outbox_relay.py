"""The relay passes messages on from the table to a stream of Redis; watchers wake the consumers of their machine.

One relay at a time leads. A new leader begins a new stream, so that nothing in it is older than the leader, and tells
its name in the database. So does one that finds the stream other than it left it: Redis has lost it, or somebody else
wrote into it.
"""

import threading
import time
import uuid
from collections.abc import Callable

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.outbox_store import OutboxStore
from kamu_assets.database.outbox_stream import MAX_ENTRIES, Stream, entry_of
from kamu_assets.database.outbox_transport import CONSUMERS
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.errors import UnavailableError

log = structlog.get_logger(__name__)

# What the relays of a machine wait for.
RELAY = "outbox_relay"
BATCH = 500
# How often to look for messages of other machines.
LOOK_SECONDS = 0.25
STANDBY_SECONDS = 1.0
CHECK_SECONDS = 5.0
# Without Redis.
FALLBACK_SECONDS = 0.5
FAILED_SECONDS = 2.0
BLOCK_SECONDS = 1.0


def new_name() -> str:
    """A name that no stream has had."""
    return uuid.uuid4().hex


class Relay:
    """For one thread."""

    def __init__(
        self,
        *,
        database: Database,
        stream: Stream,
        wakeups: Wakeups,
        backlog: int = MAX_ENTRIES,
        make_name: Callable[[], str] = new_name,
    ) -> None:
        self._database = database
        self._stream = stream
        self._wakeups = wakeups
        self._backlog = backlog
        self._make_name = make_name
        self._store = OutboxStore()
        self._leadership = database.leadership(RELAY, lasting=True)
        # None: before the next message a new stream begins.
        self._name: str | None = None
        self._relayed = 0
        self._last: str | None = None
        self._checked = float("-inf")
        self._is_failing = False

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set and a tap has come."""
        with self._leadership, self._wakeups.listen(RELAY) as listener:
            while not stop.is_set():
                pause = self._guarded()
                if pause:
                    listener.wait(pause)

    def step(self) -> float:
        """Relay what there is, if it leads; tells when to look again."""
        if not self._leadership.take():
            self._name = None
            return STANDBY_SECONDS
        name = self._checked_stream()
        with self._database.reading() as tx:
            messages = self._store.after(tx, self._relayed, BATCH)
        if messages:
            # Only what is sure to be in the stream may be left out of the next batch.
            self._name = None
            self._stream.add(name, messages, prev=self._relayed)
            if self._last is None:
                log.info("outbox_stream_begun", stream=name, after=self._relayed)
            self._name, self._relayed = name, messages[-1].id
            self._last = entry_of(self._relayed)
        return 0 if len(messages) == BATCH else LOOK_SECONDS

    def resign(self) -> None:
        """Let another one lead."""
        self._leadership.resign()
        self._name = None

    def _guarded(self) -> float:
        try:
            pause = self.step()
        except UnavailableError as error:
            if not self._is_failing:
                log.warning("outbox_relay_waits", reason=str(error))
            self._is_failing = True
            # They have the table.
            self._wakeups.notify(CONSUMERS)
            return FALLBACK_SECONDS
        except Exception:
            log.exception("outbox_relay_failed")
            return FAILED_SECONDS
        if self._is_failing:
            log.info("outbox_relay_goes_on")
            self._is_failing = False
        return pause

    def _checked_stream(self) -> str:
        """The stream as we left it, else a new one."""
        if self._name is not None:
            if time.monotonic() - self._checked < CHECK_SECONDS:
                return self._name
            self._stream.keep(self._name)
            found = self._stream.last(self._name)
            if found == self._last:
                self._checked = time.monotonic()
                return self._name
            log.warning("outbox_stream_not_as_left", stream=self._name, last=found, expected=self._last)
        return self._begin()

    def _begin(self) -> str:
        with self._database.reading() as tx:
            old, last, slowest = self._store.stream(tx), self._store.last(tx), self._store.slowest(tx)
        # Raises before anything is written where there is no Redis.
        self._stream.remove(old or "none")
        name = self._make_name()
        after = max(slowest or 0, last - self._backlog)
        with self._database.transaction() as tx:
            self._store.begin_stream(tx, name, after=after)
        self._relayed = after
        self._name, self._last, self._checked = name, None, time.monotonic()
        return name


class Watcher:
    """Wakes the consumers of this machine when something was added; many times a second while there is no Redis."""

    def __init__(self, *, database: Database, stream: Stream, wakeups: Wakeups) -> None:
        self._database = database
        self._stream = stream
        self._wakeups = wakeups
        self._store = OutboxStore()
        self._name: str | None = None
        self._last: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set."""
        while not stop.is_set():
            try:
                is_watching = self._step()
            except UnavailableError:
                # The relay and those who read tell why.
                is_watching = False
            except Exception:
                log.exception("outbox_watcher_failed")
                is_watching = False
            if not is_watching:
                self._name = None
                self._wakeups.notify(CONSUMERS)
                stop.wait(FALLBACK_SECONDS)

    def _step(self) -> bool:
        """Wait for one addition; False where there is no stream yet."""
        with self._database.reading() as tx:
            name = self._store.stream(tx)
        if name is None:
            return False
        if name != self._name:
            self._last = self._stream.last(name)
            self._name = name
            self._wakeups.notify(CONSUMERS)
        if newest := self._stream.wait(name, self._last, BLOCK_SECONDS):
            self._last = newest
            self._wakeups.notify(CONSUMERS)
        return True
