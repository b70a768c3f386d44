"""How messages, and the news that there are some, get from those who post to those who consume."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, Protocol

from kamu_assets.database.outbox_store import OutboxStore, StoredMessage
from kamu_assets.database.transaction import Transaction
from kamu_assets.database.wakeups import Wakeups

# What consumers wait for.
CONSUMERS = "outbox"


class TransportState(NamedTuple):
    """How it is, for people."""

    name: str
    # The last message that was passed on, where that is done at all and can be told.
    relayed: int | None = None
    fault: str | None = None


class Transport(Protocol):
    """Whatever it loses is still in the table, and whoever is not woken looks by itself now and then."""

    def posted(self) -> None:
        """Messages were committed."""
        ...

    def wake(self) -> None:
        """Consumers should look, though there may be no new messages."""
        ...

    def after(self, tx: Transaction, position: int, limit: int) -> list[StoredMessage]:
        """Messages that follow a position, in order and none left out; none only if there are none."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """Do what has to be done all the time in a process that has consumers."""
        ...

    def state(self, tx: Transaction) -> TransportState:
        """How it is now."""
        ...

    def close(self) -> None:
        """Close connections; using it again opens new ones."""
        ...


class EmbeddedTransport:
    """The database alone: consumers read the table, and are woken by the processes of their machine."""

    def __init__(self, wakeups: Wakeups | None = None) -> None:
        self._wakeups = wakeups
        self._store = OutboxStore()

    def posted(self) -> None:
        self.wake()

    def wake(self) -> None:
        if self._wakeups is not None:
            self._wakeups.notify(CONSUMERS)

    def after(self, tx: Transaction, position: int, limit: int) -> list[StoredMessage]:
        return self._store.after(tx, position, limit)

    @contextmanager
    def running(self) -> Iterator[None]:
        yield

    def state(self, tx: Transaction) -> TransportState:  # noqa: ARG002 - others look at rows
        return TransportState("embedded")

    def close(self) -> None:
        pass
