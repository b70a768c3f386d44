"""What flows are told of receivers, and what the ends of flows mean for them (the `Receivers` of flows)."""

from collections.abc import Sequence
from dataclasses import replace

import structlog

from kamu_assets.clock import Clock
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.model import FlowOutcome, FlowType, OutcomeKind
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.triggers.rules import Reactive, StopReason, Trigger
from kamu_assets.monitoring import metrics
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.messages import WebhookSubscriptionChanged
from kamu_assets.webhooks.model import Delivery, DeliveryState, SubscriptionStatus
from kamu_assets.webhooks.states import STOP
from kamu_assets.webhooks.store import SubscriptionStore

log = structlog.get_logger(__name__)

# What becomes of what was tried.
_ENDS = {OutcomeKind.FAILED: DeliveryState.FAILED, OutcomeKind.ABORTED: DeliveryState.ABORTED}


class SubscribedReceivers:
    """Those of our subscriptions: told at once, until so many flows have failed in a row."""

    def __init__(self, *, outbox: Outbox, clock: Clock, stop_after: int) -> None:
        self._outbox = outbox
        self._clock = clock
        self._stop_after = stop_after
        self._subscriptions = SubscriptionStore()
        self._deliveries = DeliveryStore()

    def trigger(self, tx: Transaction, scope: WebhookScope) -> Trigger | None:
        """The rule by which a receiver is told; None when it is gone."""
        found = self._subscriptions.find(tx, scope.subscription_id)
        if found is None:
            return None
        since = found.status_since or found.created_at
        return Trigger(
            scope,
            FlowType.WEBHOOK_DELIVER,
            Reactive(),
            stop_after=self._stop_after,
            paused_at=since if found.status is SubscriptionStatus.PAUSED else None,
            stopped_at=since if found.status is SubscriptionStatus.UNREACHABLE else None,
            stop_reason=found.stop_reason,
        )

    def stop(self, tx: Transaction, scope: WebhookScope, reason: StopReason) -> None:
        """It is unreachable, until somebody looks after it."""
        subscription = self._subscriptions.hold(tx, scope.subscription_id)
        if subscription is None:
            return
        stopped = replace(subscription, status=STOP.of(subscription), stop_reason=reason)
        self._subscriptions.save(tx, replace(stopped, status_since=self._clock.now()))
        tx.on_commit(metrics.WEBHOOKS_STOPPED.add)
        log.warning("webhook_stopped", subscription=subscription.id, reason=reason.value)
        self._outbox.post(
            tx,
            WebhookSubscriptionChanged(
                subscription_id=subscription.id, dataset_id=subscription.dataset_id, status=stopped.status
            ),
        )

    def ended(self, tx: Transaction, scope: WebhookScope, outcome: FlowOutcome, *, late: bool) -> Sequence[FlowCause]:
        """What was tried ends with the flow; what waits behind it waits for another one, if there may be one.

        Whoever takes back a flow takes back what waits as well, but for what came `late`.
        """
        waiting = self._deliveries.open_of(tx, scope.subscription_id)
        if outcome.kind in _ENDS:
            waiting = [each for each in waiting if not self._ends(tx, each, _ENDS[outcome.kind])]
        found = self._subscriptions.find(tx, scope.subscription_id)
        listens = found is not None and found.status is SubscriptionStatus.ENABLED
        if listens and (late or outcome.kind is not OutcomeKind.ABORTED):
            return [still_waiting(each) for each in waiting]
        for delivery in waiting:
            self._finish(tx, delivery, DeliveryState.ABORTED)
        return ()

    def _ends(self, tx: Transaction, delivery: Delivery, state: DeliveryState) -> bool:
        tried = delivery.state is not DeliveryState.WAITING
        if tried:
            self._finish(tx, delivery, state)
        return tried

    def _finish(self, tx: Transaction, delivery: Delivery, state: DeliveryState) -> None:
        self._deliveries.save(tx, replace(delivery, state=state, finished_at=self._clock.now()), was=delivery)


def still_waiting(delivery: Delivery) -> FlowCause:
    """Why there is a flow for a delivery whose own has ended, or never was."""
    return FlowCause(
        CauseKind.INPUT_UPDATED,
        input=delivery.dataset_id,
        source=UpdateSource.FOUND,
        head=delivery.new_hash,
        breaking=delivery.is_breaking,
    )
