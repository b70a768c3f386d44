"""From what datasets announce to deliveries, and flows that make them.

Both are written together with how far the outbox was read, so none is lost.
"""

from collections.abc import Iterable

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.messages import DatasetCreated, DatasetDeleted, DatasetRewritten, DatasetUpdated
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.scheduling.changes import cause_of
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.heads import KnownHeads
from kamu_assets.webhooks.model import EventType, Subscription, SubscriptionStatus
from kamu_assets.webhooks.post import DISPATCH_LOCK, Post
from kamu_assets.webhooks.receivers import still_waiting
from kamu_assets.webhooks.store import SubscriptionStore

log = structlog.get_logger(__name__)

CONSUMER = "webhooks"
MESSAGES_AT_ONCE = 500
_TOLD = (DatasetCreated, DatasetUpdated, DatasetRewritten)


class Dispatcher:
    """Follows the outbox as the consumer `webhooks`."""

    def __init__(self, *, database: Database, outbox: Outbox, post: Post, life: FlowLife) -> None:
        self._database = database
        self._outbox = outbox
        self._post = post
        self._life = life
        self._heads = KnownHeads(post)
        self._subscriptions = SubscriptionStore()
        self._deliveries = DeliveryStore()
        self._processes = ProcessStore()
        self._all_sent = False

    def step(self) -> bool:
        """Make the deliveries of what is new; whether there was anything."""
        if not self._all_sent:
            self._send_all()
        found = self._outbox.read(CONSUMER, MESSAGES_AT_ONCE)
        if not found:
            return False
        try:
            with self._database.transaction() as tx:
                # Another process may have come first.
                tx.lock(DISPATCH_LOCK)
                seen = self._position(tx)
                self.dispatch(tx, [each.message for each in found if each.id > seen])
                self._outbox.advance(tx, CONSUMER, found[-1].id)
        except Exception as error:
            log.exception("consumer_failed", consumer=CONSUMER)
            with self._database.transaction() as tx:
                self._outbox.fail(tx, CONSUMER, f"{type(error).__name__}: {error}")
            return False
        return True

    def dispatch(self, tx: Transaction, messages: Iterable[Message]) -> None:
        """Make or fold the deliveries that messages call for."""
        about = [each for each in messages if isinstance(each, (*_TOLD, DatasetDeleted))]
        datasets = {each.dataset_id for each in about}
        listening = self._subscriptions.listening(tx, datasets) if about else ()
        for message in about:
            if isinstance(message, DatasetDeleted):
                self._forget(tx, message.dataset_id)
                listening = self._subscriptions.listening(tx, datasets)
            elif isinstance(message, _TOLD):
                self._tell(tx, _interested(listening, message.dataset_id), message)

    def _send_all(self) -> None:
        """See to it that whatever is still to be sent has its flow, whatever this node was before it started."""
        with self._database.transaction() as tx:
            tx.lock(DISPATCH_LOCK)
            for id_ in self._deliveries.forsaken(tx):
                subscription = self._subscriptions.find(tx, id_)
                for delivery in self._deliveries.open_of(tx, id_):
                    if subscription is None or subscription.status is not SubscriptionStatus.ENABLED:
                        self._post.abort(tx, delivery)
                    else:
                        self._life.want(tx, subscription.binding, still_waiting(delivery))
        self._all_sent = True

    def _position(self, tx: Transaction) -> int:
        return next((each.position for each in self._outbox.consumers(tx) if each.name == CONSUMER), 0)

    def _tell(
        self,
        tx: Transaction,
        receivers: Iterable[Subscription],
        message: DatasetCreated | DatasetUpdated | DatasetRewritten,
    ) -> None:
        old, new = (None, message.head) if isinstance(message, DatasetCreated) else (message.old_head, message.new_head)
        cause = cause_of(tx, message)
        for receiver in receivers:
            # It subscribed, or caught up, after that and before the message was read.
            if not cause.breaking and self._heads.knows(tx, receiver, message.dataset_id, new):
                continue
            self._post.tell(tx, receiver, message.dataset_id, cause, old=old, new=new)

    def _forget(self, tx: Transaction, dataset: DatasetID) -> None:
        self._deliveries.forget(tx, dataset)
        for subscription in self._subscriptions.of_dataset(tx, dataset):
            self._processes.remove(tx, subscription.binding.scope)
        self._subscriptions.forget(tx, dataset)


def _interested(listening: Iterable[Subscription], dataset: DatasetID) -> Iterable[Subscription]:
    about = (each for each in listening if each.dataset_id in (None, dataset))
    return [each for each in about if EventType.DATASET_REF_UPDATED in each.event_types]
