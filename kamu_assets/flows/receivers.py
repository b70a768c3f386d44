"""What flows that deliver to receivers of webhooks need of whoever keeps the subscriptions."""

from collections.abc import Sequence
from typing import Protocol

from kamu_assets.database.transaction import Transaction
from kamu_assets.flows.causes import FlowCause
from kamu_assets.flows.model import FlowOutcome
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.triggers.rules import StopReason, Trigger


class Receivers(Protocol):
    """Each step takes the transaction in which the flow changes."""

    def trigger(self, tx: Transaction, scope: WebhookScope) -> Trigger | None:
        """The rule by which a receiver is told; None when it is gone."""
        ...

    def stop(self, tx: Transaction, scope: WebhookScope, reason: StopReason) -> None:
        """Tell a receiver nothing any more, until somebody looks after it."""
        ...

    def ended(self, tx: Transaction, scope: WebhookScope, outcome: FlowOutcome, *, late: bool) -> Sequence[FlowCause]:
        """A flow has its outcome; tells what a receiver still waits for. `late`: more came while it ran."""
        ...


class NoReceivers:
    """Where nobody subscribes."""

    def trigger(self, tx: Transaction, scope: WebhookScope) -> Trigger | None:  # noqa: ARG002 - the protocol's
        return None

    def stop(self, tx: Transaction, scope: WebhookScope, reason: StopReason) -> None:
        """There is nobody to stop."""

    def ended(
        self,
        tx: Transaction,  # noqa: ARG002 - the protocol's
        scope: WebhookScope,  # noqa: ARG002 - as above
        outcome: FlowOutcome,  # noqa: ARG002 - as above
        *,
        late: bool,  # noqa: ARG002 - as above
    ) -> Sequence[FlowCause]:
        return ()
