"""Messages written with the change they tell of, read in order, delivered at least once (transactional outbox)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message, MessageTypes
from kamu_assets.database.outbox_store import Consumer, KeptMessage, OutboxStore, StoredMessage
from kamu_assets.database.outbox_transport import CONSUMERS, EmbeddedTransport, Transport, TransportState
from kamu_assets.database.transaction import Transaction
from kamu_assets.errors import NotFoundError
from kamu_assets.odf.timestamp import Timestamp

log = structlog.get_logger(__name__)

# What listeners of new messages wait for.
WAKEUP = CONSUMERS
MAX_BACKOFF_SECONDS = 300
# In one transaction: others have to write meanwhile.
PRUNED_AT_ONCE = 5000
NANOS_PER_SECOND = 1_000_000_000


class UnknownConsumerError(NotFoundError):
    """Nobody of this name follows the outbox."""

    def __init__(self, name: str, known: list[str]) -> None:
        there = f"there are {', '.join(known)}" if known else "there are none before the node runs for the first time"
        super().__init__(f"no consumer of the outbox is called {name!r}; {there}")
        self.name = name


class Delivery(NamedTuple):
    """A message and its place in the order."""

    id: int
    message: Message


class Outbox:
    """The event bus of the node. Consumers have names and must be idempotent."""

    def __init__(
        self, database: Database, *, clock: Clock, types: MessageTypes, transport: Transport | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._types = types
        self._transport: Transport = transport or EmbeddedTransport()
        self._store = OutboxStore()

    def post(self, tx: Transaction, *posted: Message) -> None:
        """Tell everybody once `tx` commits. Written at its end, so that posters hardly wait for each other."""
        tx.before_commit(lambda: self._store.add(tx, list(posted), self._clock.now()))
        tx.on_commit(self._transport.posted)

    def read(self, consumer: str, limit: int = 100) -> list[Delivery]:
        """What a consumer has not seen; nothing while it waits for its next attempt."""
        unseen = self._unseen(consumer, limit)
        return [Delivery(item.id, self._types.decode(item.topic, item.body)) for item in unseen]

    def advance(self, tx: Transaction, consumer: str, position: int) -> None:
        """A consumer is done with everything up to a message; also clears its failure."""
        self._store.save(tx, Consumer(consumer, position))

    def fail(self, tx: Transaction, consumer: str, reason: str) -> Consumer:
        """A consumer could not handle its next message: it waits, longer each time; others go on."""
        state = self._store.consumer(tx, consumer)
        attempts = state.attempts + 1
        seconds = min(2 ** min(attempts - 1, 20), MAX_BACKOFF_SECONDS)
        next_attempt = Timestamp(self._clock.now().ns + seconds * NANOS_PER_SECOND)
        failing = Consumer(consumer, state.position, attempts, reason, next_attempt)
        self._store.save(tx, failing)
        return failing

    def deliver(self, consumer: str, handle: Callable[[Message], None], *, limit: int = 100) -> int:
        """Hand a consumer what it has not seen, in order; tells how many messages it handled."""
        with self.turn(consumer) as is_ours:
            return self._deliver(consumer, handle, limit) if is_ours else 0

    def _deliver(self, consumer: str, handle: Callable[[Message], None], limit: int) -> int:
        done: list[int] = []
        for item in self._unseen(consumer, limit):
            try:
                handle(self._types.decode(item.topic, item.body))
            except Exception as error:  # noqa: BLE001 - whatever it is, only this consumer has to wait
                self._stop(consumer, done, error)
                return len(done)
            done.append(item.id)
        if done:
            with self._database.transaction() as tx:
                self.advance(tx, consumer, done[-1])
        return len(done)

    @contextmanager
    def turn(self, consumer: str) -> Iterator[bool]:
        """Whether no other process is at work for this consumer now; none is until the end of the block, then."""
        with self._database.leadership(f"outbox_{consumer}") as only_one:
            yield only_one.take()

    def register(self, tx: Transaction, *names: str) -> None:
        """Make consumers known before their first reading, so that no message is pruned before they see it."""
        for name in names:
            self._store.register(tx, name)

    def consumers(self, tx: Transaction) -> list[Consumer]:
        """Every known consumer: how far it is, and why it does not go on."""
        return self._store.all_consumers(tx)

    def consumer(self, tx: Transaction, name: str) -> Consumer:
        """One that is known."""
        known = {each.name: each for each in self.consumers(tx)}
        if name not in known:
            raise UnknownConsumerError(name, list(known))
        return known[name]

    def waiting(self, tx: Transaction, consumer: str, limit: int) -> list[KeptMessage]:
        """What a known consumer is to handle next; nothing is handed over."""
        return self._store.kept(tx, self.consumer(tx, consumer).position, limit)

    def last(self, tx: Transaction) -> int:
        """The number of the newest message, to compare positions with."""
        return self._store.last(tx)

    def retry(self, tx: Transaction, consumer: str) -> None:
        """Let a known consumer that failed try again now."""
        self._store.wake(tx, self.consumer(tx, consumer).name)
        tx.on_commit(self._transport.wake)

    def forget(self, tx: Transaction, consumer: str) -> None:
        """Stop keeping messages for a consumer that will not come back."""
        self._store.forget(tx, consumer)

    def prune(self, tx: Transaction, *, older_than: float) -> int:
        """Remove some messages older than so many seconds that every consumer has passed; tells how many."""
        age = round(older_than * NANOS_PER_SECOND)
        return self._store.prune(tx, Timestamp(self._clock.now().ns - age), limit=PRUNED_AT_ONCE)

    def running(self) -> AbstractContextManager[None]:
        """Pass messages on, in a process that has consumers, until the end of the block."""
        return self._transport.running()

    def transport_state(self, tx: Transaction) -> TransportState:
        """How messages get from process to process, and whether that works now."""
        return self._transport.state(tx)

    def close(self) -> None:
        """Close connections that are not the database's."""
        self._transport.close()

    def _unseen(self, consumer: str, limit: int) -> list[StoredMessage]:
        with self._database.reading() as tx:
            state = self._store.consumer(tx, consumer)
            return [] if state.is_waiting(self._clock.now()) else self._transport.after(tx, state.position, limit)

    def _stop(self, consumer: str, done: list[int], error: Exception) -> None:
        with self._database.transaction() as tx:
            if done:
                self.advance(tx, consumer, done[-1])
            failing = self.fail(tx, consumer, f"{type(error).__name__}: {error}")
        log.warning("consumer_failed", consumer=consumer, attempts=failing.attempts, exc_info=error)
