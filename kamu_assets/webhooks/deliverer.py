"""One attempt at one delivery: begin it, send it, write down what came of it and what follows for the subscription.

`DeliveryFailedError` tells whoever runs attempts whether another one may help. It is called at least once for each
delivery: a process that dies after sending leaves the attempt unfinished, and the next one repeats it under the same
`x-webhook-delivery-id`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.monitoring import metrics
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.errors import DeliveryFailedError, NotDueError
from kamu_assets.webhooks.messages import WebhookSubscriptionChanged
from kamu_assets.webhooks.model import Delivery, DeliveryRules, DeliveryState, Subscription, SubscriptionStatus
from kamu_assets.webhooks.payload import payload
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.sender import Letter
from kamu_assets.webhooks.states import STOP
from kamu_assets.webhooks.store import SubscriptionStore

log = structlog.get_logger(__name__)


class Sends(Protocol):
    """Speaks with receivers."""

    def send(self, letter: Letter) -> int:
        """The status of an answer that means success; DeliveryFailedError."""
        ...


class Deliverer:
    """Runs attempts; several processes may, for each attempt has one owner."""

    def __init__(self, *, database: Database, outbox: Outbox, post: Post, sender: Sends, rules: DeliveryRules) -> None:
        self._database = database
        self._outbox = outbox
        self._post = post
        self._sender = sender
        self._rules = rules
        self._subscriptions = SubscriptionStore()
        self._deliveries = DeliveryStore()
        self._datasets = DatasetStore()

    def due(self, *, besides: Sequence[str] = (), limit: int = 16) -> Sequence[Delivery]:
        """What is to be sent now: the first of each subscription but those."""
        with self._database.reading() as tx:
            return self._post.due(tx, besides=besides, limit=limit)

    def next_due(self, subscription: str) -> Delivery | None:
        """What is to be sent to this receiver now."""
        with self._database.reading() as tx:
            first = self._deliveries.next_of(tx, subscription)
            return first if first is not None and self._post.is_due(first) else None

    def deliver(self, delivery_id: str) -> int:
        """Try once; the receiver's status. NotDueError when there is nothing to do; DeliveryFailedError."""
        letter = self._begin(delivery_id)
        if letter is None:
            raise NotDueError(delivery_id)
        facts = {"subscription": letter.subscription.id, "delivery": delivery_id, "attempt": letter.delivery.attempt}
        try:
            status = self._sender.send(letter)
        except DeliveryFailedError as error:
            after = self._note_failure(letter, error)
            log.warning("webhook_failed", **facts, reason=str(error), state=after and after.state.value)
            raise
        self._note_success(letter, status)
        log.info("webhook_delivered", **facts, status=status)
        return status

    def _begin(self, delivery_id: str) -> Letter | None:
        with self._database.transaction() as tx:
            delivery = self._deliveries.hold(tx, delivery_id)
            if delivery is None or not delivery.state.is_open or not self._post.is_due(delivery):
                return None
            subscription = self._subscriptions.find(tx, delivery.subscription_id)
            dataset = self._datasets.find(tx, delivery.dataset_id) if delivery.dataset_id else None
            # Of what is gone, or not to be told, nobody is told.
            listens = subscription is not None and subscription.status is SubscriptionStatus.ENABLED
            if subscription is None or not listens or (dataset is None and delivery.dataset_id is not None):
                self._post.abort(tx, delivery)
                return None
            begun = self._post.begun(tx, delivery)
            return None if begun is None else Letter(subscription, begun, payload(begun, dataset))

    def _note_success(self, letter: Letter, status: int) -> None:
        delivery, subscription = letter.delivery, letter.subscription
        with self._database.transaction() as tx:
            tx.on_commit(partial(metrics.WEBHOOK_ATTEMPTS.add, "delivered"))
            if self._post.ended(tx, delivery, status=status):
                told = delivery.new_hash if subscription.dataset_id is not None else None
                self._subscriptions.note_success(tx, subscription.id, told)

    def _note_failure(self, letter: Letter, error: DeliveryFailedError) -> Delivery | None:
        with self._database.transaction() as tx:
            subscription = self._subscriptions.hold(tx, letter.subscription.id)
            after = self._post.failed(tx, letter.delivery, error)
            tx.on_commit(partial(metrics.WEBHOOK_ATTEMPTS.add, "failed"))
            if after is not None and subscription is not None:
                self._judge(tx, subscription, after, error)
            return after

    def _judge(
        self, tx: Transaction, subscription: Subscription, delivery: Delivery, error: DeliveryFailedError
    ) -> None:
        """Count failures for good; stop what has failed too often, or never wants to hear of us again."""
        if subscription.status is not SubscriptionStatus.ENABLED:
            # Nobody tries again what was paused while it was being sent.
            self._post.abort_all(tx, subscription.id)
            return
        if delivery.state is not DeliveryState.FAILED:
            return
        failures = subscription.consecutive_failures + 1
        judged = replace(subscription, consecutive_failures=failures)
        if not error.recoverable or failures >= self._rules.max_consecutive_failures:
            judged = replace(judged, status=STOP.of(subscription.status))
            self._post.abort_all(tx, subscription.id)
            tx.on_commit(metrics.WEBHOOKS_STOPPED.add)
            log.warning("webhook_stopped", subscription=subscription.id, failures=failures, reason=str(error))
            self._outbox.post(
                tx,
                WebhookSubscriptionChanged(
                    subscription_id=subscription.id, dataset_id=subscription.dataset_id, status=judged.status
                ),
            )
        self._subscriptions.save(tx, judged)
