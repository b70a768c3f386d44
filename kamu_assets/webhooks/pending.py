"""The flow that tells a receiver, as far as changes of its subscription touch it."""

from dataclasses import replace

from kamu_assets.database.outbox import Outbox
from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.messages import FlowCancelRequested
from kamu_assets.flows.model import Binding, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.model import Subscription
from kamu_assets.webhooks.post import DISPATCH_LOCK


class PendingFlows:
    """The caller owns the transaction."""

    def __init__(self, *, outbox: Outbox, life: FlowLife) -> None:
        self._outbox = outbox
        self._life = life
        self._flows = FlowStore()
        self._processes = ProcessStore()

    def hold(self, tx: Transaction, subscription: str) -> None:
        """Before the subscription is held: whoever makes or ends flows holds them first, too."""
        tx.lock(DISPATCH_LOCK)
        self._flows.live(tx, Binding(WebhookScope(subscription), FlowType.WEBHOOK_DELIVER))

    def drop(self, tx: Transaction, subscription: Subscription, reason: str) -> None:
        """End what waits, and have what runs stopped."""
        live = self._flows.live(tx, subscription.binding)
        if live is None:
            return
        if live.state is not FlowState.RUNNING:
            self._life.end(tx, live, FlowOutcome(OutcomeKind.ABORTED, reason))
        elif not live.cancel_requested:
            self._flows.save(tx, replace(live, cancel_requested=True))
            self._outbox.post(tx, FlowCancelRequested(flow_id=str(live.id), dataset_id=live.dataset_id))

    def count_anew(self, tx: Transaction, subscription: Subscription) -> None:
        """Failures so far were those of another time."""
        binding = subscription.binding
        record = self._processes.get(tx, binding)
        if record.consecutive_failures:
            self._processes.save(tx, binding, replace(record, consecutive_failures=0))

    def forget(self, tx: Transaction, subscription: str) -> None:
        """Nobody asks any more how its flows have gone."""
        self._processes.remove(tx, WebhookScope(subscription))

    def next_attempt(self, tx: Transaction, subscription: Subscription) -> Timestamp | None:
        """When the flow that waits starts."""
        live = self._flows.peek(tx, subscription.binding)
        return live.scheduled_at if live is not None and live.state is not FlowState.RUNNING else None
