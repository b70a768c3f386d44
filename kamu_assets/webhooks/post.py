"""Deliveries as rows: made, folded, begun, ended. Every step is one change that a killed process leaves whole."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from kamu_assets.clock import Clock
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.errors import DeliveryFailedError
from kamu_assets.webhooks.model import Delivery, DeliveryState, EventType, Subscription

# Held by whoever has deliveries made of updates, so that no two are made of one.
DISPATCH_LOCK = "webhook-dispatch"


def new_id() -> str:
    return str(uuid4())


class Post:
    """Writes what becomes of deliveries; the caller owns the transaction."""

    def __init__(self, *, clock: Clock, life: FlowLife, make_id: Callable[[], str] = new_id) -> None:
        self._clock = clock
        self._life = life
        self._make_id = make_id
        self._store = DeliveryStore()

    def tell(
        self,
        tx: Transaction,
        subscription: Subscription,
        dataset: DatasetID,
        cause: FlowCause,
        *,
        old: Multihash | None,
        new: Multihash,
    ) -> None:
        """Have a delivery of an update: the one that waits already, from its first head to this one, or a new one."""
        event, is_breaking = EventType.DATASET_REF_UPDATED, cause.breaking
        tx.lock(DISPATCH_LOCK)
        # First: whoever ends a flow holds it while it looks at what waits.
        self._life.want(tx, subscription.binding, cause)
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
        return Delivery(self._make_id(), subscription.id, event, dataset, created_at=self._clock.now())

    def begun(self, tx: Transaction, delivery: Delivery, flow: int | None) -> Delivery | None:
        """The next attempt at it; None when somebody else was first. From now on nothing is folded into it."""
        begun = replace(delivery, state=DeliveryState.SENDING, attempt=delivery.attempt + 1, flow=flow)
        return begun if self._store.save(tx, begun, was=delivery) else None

    def ended(self, tx: Transaction, delivery: Delivery, *, status: int) -> bool:
        """It got there; whether somebody else has not ended it before."""
        done = replace(delivery, state=DeliveryState.DELIVERED, response_status=status, message=None)
        return self._finish(tx, done, was=delivery)

    def failed(self, tx: Transaction, delivery: Delivery, error: DeliveryFailedError) -> None:
        """The attempt failed. Whether there is another one is up to its flow."""
        told = replace(delivery, response_status=error.status, message=str(error), state=DeliveryState.RETRYING)
        self._store.save(tx, told, was=delivery)

    def note(self, tx: Transaction, delivery: Delivery, outcome: int | DeliveryFailedError) -> Delivery:
        """Store one that was sent without waiting for its turn."""
        if isinstance(outcome, DeliveryFailedError):
            told = replace(delivery, state=DeliveryState.FAILED, response_status=outcome.status, message=str(outcome))
        else:
            told = replace(delivery, state=DeliveryState.DELIVERED, response_status=outcome)
        done = replace(told, finished_at=self._clock.now())
        self._store.add(tx, done)
        return done

    def abort(self, tx: Transaction, delivery: Delivery) -> None:
        """Of what is gone, or not to be told, nobody is told."""
        self._finish(tx, replace(delivery, state=DeliveryState.ABORTED), was=delivery)

    def prune(self, tx: Transaction, *, older_than: float) -> int:
        """Remove what ended so many seconds ago; tells how many."""
        return self._store.prune(tx, Timestamp(self._clock.now().ns - round(older_than * NANOS_PER_SECOND)))

    def _finish(self, tx: Transaction, delivery: Delivery, *, was: Delivery) -> bool:
        return self._store.save(tx, replace(delivery, finished_at=self._clock.now()), was=was)
