"""Rows of the outbox: messages in order, and one position per consumer."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, Table, Text, delete, func, insert, select, update

from kamu_assets.database.columns import RowNumber, TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.messages import Message
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.timestamp import Timestamp

messages = Table(
    "outbox_messages",
    metadata,
    Column("id", RowNumber, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("posted_at", TimestampColumn, nullable=False),
    # Numbers of pruned messages are never given out again: consumers have passed them.
    sqlite_autoincrement=True,
)
consumers = Table(
    "outbox_consumers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("next_attempt_at", TimestampColumn),
)
# Where the messages lie that a relay has passed on, if there is a relay; at most one row.
streams = Table(
    "outbox_streams",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    # Consumers that are further behind read the table.
    Column("begun_after", BigInteger),
)
_ONLY = 1

# Made once: every change that is told of executes it.
_INSERT = Frequent(insert(messages).inline(), columns=("topic", "body", "posted_at"))


@dataclass(frozen=True, slots=True)
class Consumer:
    """How far a consumer has come, and what keeps it from going on."""

    name: str
    # The last message it is done with.
    position: int = 0
    # Failures since the last success.
    attempts: int = 0
    last_error: str | None = None
    next_attempt_at: Timestamp | None = None

    def is_waiting(self, now: Timestamp) -> bool:
        """Whether it failed and its next attempt is not due yet."""
        return self.next_attempt_at is not None and now < self.next_attempt_at


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it lies in the table."""

    id: int
    topic: str
    body: str


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as people look at it."""

    id: int
    topic: str
    body: str
    posted_at: Timestamp


class OutboxStore:
    """SQL of the outbox."""

    def add(self, tx: Transaction, posted: list[Message], now: Timestamp) -> None:
        """Append messages. One poster at a time, so that no number appears after a greater one has been read."""
        tx.lock("outbox")
        rows = [{"topic": item.topic, "body": item.model_dump_json(), "posted_at": now} for item in posted]
        tx.change(_INSERT, *rows)

    def after(self, tx: Transaction, position: int, limit: int) -> list[StoredMessage]:
        """The messages that follow a position."""
        columns = (messages.c.id, messages.c.topic, messages.c.body)
        query = select(*columns).where(messages.c.id > position).order_by(messages.c.id).limit(limit)
        return [StoredMessage(row.id, row.topic, row.body) for row in tx.execute(query)]

    def kept(self, tx: Transaction, position: int, limit: int) -> list[KeptMessage]:
        """The same messages, with the times at which they were posted."""
        query = select(messages).where(messages.c.id > position).order_by(messages.c.id).limit(limit)
        return [KeptMessage(row.id, row.topic, row.body, row.posted_at) for row in tx.execute(query)]

    def last(self, tx: Transaction) -> int:
        """The number of the newest message; 0 when there is none."""
        return int(tx.execute(select(func.coalesce(func.max(messages.c.id), 0))).scalar_one())

    def consumer(self, tx: Transaction, name: str) -> Consumer:
        """The state of a consumer; at the start when it is new."""
        row = tx.execute(select(consumers).where(consumers.c.name == name)).one_or_none()
        return Consumer(name) if row is None else Consumer(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name

    def all_consumers(self, tx: Transaction) -> list[Consumer]:
        """All consumers by name."""
        rows = tx.execute(select(consumers).order_by(consumers.c.name))
        return [Consumer(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def save(self, tx: Transaction, consumer: Consumer) -> None:
        """Remember a consumer; its position never goes back."""
        values = {
            "position": consumer.position,
            "attempts": consumer.attempts,
            "last_error": consumer.last_error,
            "next_attempt_at": consumer.next_attempt_at,
        }
        new = tx.insert(consumers).values(name=consumer.name, **values)
        tx.execute(
            new.on_conflict_do_update(
                index_elements=["name"], set_=values, where=consumers.c.position <= consumer.position
            )
        )

    def register(self, tx: Transaction, name: str) -> None:
        """Make a consumer known, so that messages wait for it."""
        new = tx.insert(consumers).values(name=name, position=0, attempts=0)
        tx.execute(new.on_conflict_do_nothing())

    def wake(self, tx: Transaction, name: str) -> None:
        """Let a failing consumer try again now."""
        tx.execute(update(consumers).where(consumers.c.name == name).values(next_attempt_at=None))

    def forget(self, tx: Transaction, name: str) -> None:
        """Remove a consumer that will not come back."""
        tx.execute(delete(consumers).where(consumers.c.name == name))

    def slowest(self, tx: Transaction) -> int | None:
        """What every consumer is done with; None when there are none."""
        position: int | None = tx.execute(select(func.min(consumers.c.position))).scalar_one()
        return position

    def stream(self, tx: Transaction) -> str | None:
        """The name of the stream that the relay writes now."""
        return tx.execute(select(streams.c.name)).scalar_one_or_none()

    def stream_begun_after(self, tx: Transaction) -> int | None:
        """The message before the first of that stream."""
        return tx.execute(select(streams.c.begun_after)).scalar_one_or_none()

    def begin_stream(self, tx: Transaction, name: str, *, after: int) -> None:
        """From now on the relay writes another stream, of the messages that follow one."""
        values = {"name": name, "begun_after": after}
        new = tx.insert(streams).values(id=_ONLY, **values)
        tx.execute(new.on_conflict_do_update(index_elements=["id"], set_=values))

    def prune(self, tx: Transaction, posted_before: Timestamp, *, limit: int) -> int:
        """Remove old messages among the first that every consumer has passed; tells how many."""
        passed = select(messages.c.id, messages.c.posted_at).where(messages.c.id <= (self.slowest(tx) or 0))
        first = passed.order_by(messages.c.id).limit(limit).subquery()
        old = select(first.c.id).where(first.c.posted_at < posted_before)
        return tx.execute(delete(messages).where(messages.c.id.in_(old))).rowcount
