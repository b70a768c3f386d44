"""Deliveries as rows: made, folded, begun, ended. Every step is one change that a killed process leaves whole."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from kamu_assets.clock import Clock
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.errors import DeliveryFailedError
from kamu_assets.webhooks.model import Delivery, DeliveryRules, DeliveryState, EventType, Subscription

# Held by whoever has deliveries made of updates, so that no two are made of one.
DISPATCH_LOCK = "webhook-dispatch"
# Beside the time that sending may take: a sender that is silent for longer is taken for dead.
_GRACE_SECONDS = 2.0
_NANOS = 1_000_000_000


def new_id() -> str:
    return str(uuid4())


class Post:
    """Writes what becomes of deliveries; the caller owns the transaction."""

    def __init__(self, *, clock: Clock, rules: DeliveryRules, make_id: Callable[[], str] = new_id) -> None:
        self._clock = clock
        self._rules = rules
        self._make_id = make_id
        self._store = DeliveryStore()

    def tell(
        self,
        tx: Transaction,
        subscription: Subscription,
        dataset: DatasetID,
        *,
        old: Multihash | None,
        new: Multihash,
        is_breaking: bool = False,
    ) -> None:
        """Have a delivery of an update: the one that waits already, from its first head to this one, or a new one."""
        event = EventType.DATASET_REF_UPDATED
        tx.lock(DISPATCH_LOCK)
        waiting = self._store.waiting(tx, subscription.id, dataset, event)
        if waiting is not None:
            folded = replace(waiting, new_hash=new, is_breaking=waiting.is_breaking or is_breaking)
            # Unless it is being sent since this moment.
            if self._store.save(tx, folded, was=waiting):
                return
        made = replace(self.made(subscription, event, dataset), old_hash=old, new_hash=new)
        self._store.add(tx, replace(made, is_breaking=is_breaking))

    def made(self, subscription: Subscription, event: EventType, dataset: DatasetID | None) -> Delivery:
        """A new delivery that nobody has stored yet."""
        now = self._clock.now()
        return Delivery(self._make_id(), subscription.id, event, dataset, created_at=now, due_at=now)

    def is_due(self, delivery: Delivery) -> bool:
        return delivery.due_at <= self._clock.now()

    def begun(self, tx: Transaction, delivery: Delivery) -> Delivery | None:
        """The next attempt at it; None when somebody else was first. From now on nothing is folded into it."""
        limit = self._later(self._rules.timeout_seconds + _GRACE_SECONDS)
        begun = replace(delivery, state=DeliveryState.SENDING, attempt=delivery.attempt + 1, due_at=limit)
        return begun if self._store.save(tx, begun, was=delivery) else None

    def ended(self, tx: Transaction, delivery: Delivery, *, status: int) -> bool:
        """It got there; whether somebody else has not ended it before."""
        done = replace(delivery, state=DeliveryState.DELIVERED, response_status=status, message=None)
        return self._finish(tx, done, was=delivery)

    def failed(self, tx: Transaction, delivery: Delivery, error: DeliveryFailedError) -> Delivery | None:
        """The attempt failed: it is tried again later, or has failed for good; None when somebody else ended it."""
        told = replace(delivery, response_status=error.status, message=str(error))
        if error.recoverable and delivery.attempt < self._rules.max_attempts:
            delay = self._rules.retry_seconds * 2 ** (delivery.attempt - 1)
            due = self._later(max(delay, error.retry_after or 0))
            after = replace(told, state=DeliveryState.RETRYING, due_at=due)
        else:
            after = replace(told, state=DeliveryState.FAILED, finished_at=self._clock.now())
        return after if self._store.save(tx, after, was=delivery) else None

    def abort_all(self, tx: Transaction, subscription: str) -> None:
        """Drop what is open; what is being sent at this moment cannot be called back."""
        for delivery in self._store.open_of(tx, subscription):
            self.abort(tx, delivery)

    def abort(self, tx: Transaction, delivery: Delivery) -> None:
        self._finish(tx, replace(delivery, state=DeliveryState.ABORTED), was=delivery)

    def note(self, tx: Transaction, delivery: Delivery, outcome: int | DeliveryFailedError) -> Delivery:
        """Store one that was sent without waiting for its turn."""
        if isinstance(outcome, DeliveryFailedError):
            told = replace(delivery, state=DeliveryState.FAILED, response_status=outcome.status, message=str(outcome))
        else:
            told = replace(delivery, state=DeliveryState.DELIVERED, response_status=outcome)
        done = replace(told, finished_at=self._clock.now())
        self._store.add(tx, done)
        return done

    def due(self, tx: Transaction, *, besides: Sequence[str], limit: int) -> Sequence[Delivery]:
        """What is to be sent now, one of each subscription."""
        return self._store.due(tx, self._clock.now(), besides=besides, limit=limit)

    def prune(self, tx: Transaction, *, older_than: float) -> int:
        """Remove what ended so many seconds ago; tells how many."""
        return self._store.prune(tx, self._later(-older_than))

    def _finish(self, tx: Transaction, delivery: Delivery, *, was: Delivery) -> bool:
        return self._store.save(tx, replace(delivery, finished_at=self._clock.now()), was=was)

    def _later(self, seconds: float) -> Timestamp:
        return Timestamp(self._clock.now().ns + round(seconds * _NANOS))
