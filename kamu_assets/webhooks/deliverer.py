"""One attempt of a flow at its deliveries: begin each, send it, write down what came of it.

`DeliveryFailedError` tells whoever runs attempts that another one may help. Each delivery is sent at least once: a
process that dies after sending leaves it unfinished, and the next attempt repeats it under the same
`x-webhook-delivery-id`.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.results import ReceiverTold
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.monitoring import metrics
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.errors import DeliveryFailedError
from kamu_assets.webhooks.model import SubscriptionStatus
from kamu_assets.webhooks.payload import payload
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.recall import Recall
from kamu_assets.webhooks.sender import Letter
from kamu_assets.webhooks.store import SubscriptionStore

log = structlog.get_logger(__name__)

# Whoever is told of many datasets leaves its place to others after that.
TURN_SECONDS = 30.0


class Sends(Protocol):
    """Speaks with receivers."""

    def send(self, letter: Letter, *, recall: Recall | None = None) -> int:
        """The status of an answer that means success; DeliveryFailedError."""
        ...


class Deliverer:
    """Used by whoever runs attempts: one for each subscription at a time."""

    def __init__(self, *, database: Database, post: Post, sender: Sends) -> None:
        self._database = database
        self._post = post
        self._sender = sender
        self._subscriptions = SubscriptionStore()
        self._deliveries = DeliveryStore()
        self._datasets = DatasetStore()
        self._flows = FlowStore()
        self._achievements = Achievements(database)

    def deliver(self, subscription: str, *, run_id: str, recall: Recall | None = None) -> int:
        """Send what waits, oldest first, until one fails; tells how many. DeliveryFailedError, RecalledError.

        What comes meanwhile is the business of the flow that follows.
        """
        with self._database.reading() as tx:
            waiting = [each.id for each in self._deliveries.open_of(tx, subscription)]
            flow = next((each.id for each in self._flows.by_run(tx, run_id)), None)
        told, note = ReceiverTold(0), partial(self._achievements.note, run_id, WebhookScope(subscription))
        try:
            for status in self._send_all(waiting, flow, recall or Recall()):
                told = ReceiverTold(told.deliveries + 1, status)
        except DeliveryFailedError as error:
            note(replace(told, response_status=error.status))
            raise
        if told.deliveries:
            note(told)
        return told.deliveries

    def _send_all(self, waiting: Iterable[str], flow: int | None, recall: Recall) -> Iterator[int]:
        """What was answered to each."""
        began = time.monotonic()
        for delivery in waiting:
            if time.monotonic() - began > TURN_SECONDS:
                break
            letter = self._begin(delivery, flow)
            if letter is not None:
                yield self._send(letter, recall)

    def _send(self, letter: Letter, recall: Recall) -> int:
        delivery = letter.delivery
        facts = {"subscription": letter.subscription.id, "delivery": delivery.id, "attempt": delivery.attempt}
        try:
            status = recall.wait_for(partial(self._sender.send, letter, recall=recall))
        except DeliveryFailedError as error:
            log.warning("webhook_failed", **facts, reason=str(error))
            with self._database.transaction() as tx:
                tx.on_commit(partial(metrics.WEBHOOK_ATTEMPTS.add, "failed"))
                self._post.failed(tx, delivery, error)
            raise
        log.info("webhook_delivered", **facts, status=status)
        with self._database.transaction() as tx:
            self._note_success(tx, letter, status)
        return status

    def _begin(self, delivery_id: str, flow: int | None) -> Letter | None:
        with self._database.transaction() as tx:
            delivery = self._deliveries.hold(tx, delivery_id)
            if delivery is None or not delivery.state.is_open:
                return None
            subscription = self._subscriptions.find(tx, delivery.subscription_id)
            dataset = self._datasets.find(tx, delivery.dataset_id) if delivery.dataset_id else None
            listens = subscription is not None and subscription.status is SubscriptionStatus.ENABLED
            if subscription is None or not listens or (dataset is None and delivery.dataset_id is not None):
                self._post.abort(tx, delivery)
                return None
            begun = self._post.begun(tx, delivery, flow)
            return None if begun is None else Letter(subscription, begun, payload(begun, dataset))

    def _note_success(self, tx: Transaction, letter: Letter, status: int) -> None:
        delivery, subscription = letter.delivery, letter.subscription
        tx.on_commit(partial(metrics.WEBHOOK_ATTEMPTS.add, "delivered"))
        # Whoever changes the subscription holds it before its deliveries, too.
        self._subscriptions.hold(tx, subscription.id)
        if self._post.ended(tx, delivery, status=status) and subscription.dataset_id is not None:
            self._subscriptions.note_told(tx, subscription.id, delivery.new_hash)
