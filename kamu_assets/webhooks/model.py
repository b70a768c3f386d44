"""Subscriptions and deliveries."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.retrying import Backoff, RetryPolicy
from kamu_assets.flows.scopes import WebhookScope
from kamu_assets.flows.triggers.rules import StopReason
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class EventType(StrEnum):
    """What a receiver can be told."""

    DATASET_REF_UPDATED = "DATASET.REF.UPDATED"
    # Only when somebody asks for it: nobody subscribes to it.
    TEST = "TEST"


OFFERED = (EventType.DATASET_REF_UPDATED,)


class SubscriptionStatus(StrEnum):
    """Whether deliveries are made."""

    # Not yet shown to belong to whoever subscribed it; subscriptions made here never wait for that.
    UNVERIFIED = "UNVERIFIED"
    ENABLED = "ENABLED"
    # By its owner.
    PAUSED = "PAUSED"
    # By the node, since deliveries failed.
    UNREACHABLE = "UNREACHABLE"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class SubscriptionInput:
    """What somebody wants to be told, and where; not checked yet."""

    target_url: str
    event_types: tuple[str, ...] = OFFERED
    label: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A place that is told of changes."""

    id: str
    # None: of every dataset of the node.
    dataset_id: DatasetID | None
    target_url: str
    event_types: tuple[EventType, ...]
    label: str
    status: SubscriptionStatus
    # As it is stored: encrypted.
    secret: SecretStr
    created_at: Timestamp
    # Since when it has its status, where that is known.
    status_since: Timestamp | None = None
    # Of UNREACHABLE.
    stop_reason: StopReason | None = None
    # Flows of deliveries that failed since one succeeded. Kept with flows.
    consecutive_failures: int = 0
    # The newest head that the receiver was told of, or that was there when it subscribed.
    told_head: Multihash | None = None

    @property
    def name(self) -> str:
        """Its label, or where it points to."""
        return self.label or self.target_url

    @property
    def binding(self) -> Binding:
        """What there is at most one live flow of: that it is told."""
        return Binding(WebhookScope(self.id, self.dataset_id), FlowType.WEBHOOK_DELIVER)


class DeliveryState(StrEnum):
    """How far a delivery is."""

    # Never sent: newer updates are folded into it.
    WAITING = "WAITING"
    # Somebody sends it, or died while sending it.
    SENDING = "SENDING"
    # Will be sent again as it was, by the same flow.
    RETRYING = "RETRYING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    # Its subscription was paused, stopped or removed before it got there.
    ABORTED = "ABORTED"

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done."""
        return self in OPEN


OPEN = (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.RETRYING)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one receiver; the same at every attempt."""

    id: str
    subscription_id: str
    event_type: EventType
    dataset_id: DatasetID | None
    created_at: Timestamp
    old_hash: Multihash | None = None
    new_hash: Multihash | None = None
    is_breaking: bool = False
    state: DeliveryState = DeliveryState.WAITING
    # Counted from 1.
    attempt: int = 0
    # The flow that sent it last.
    flow: int | None = None
    finished_at: Timestamp | None = None
    # What the receiver answered to the last attempt.
    response_status: int | None = None
    # Why the last attempt failed.
    message: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """Patience with receivers."""

    timeout_seconds: float = 10
    # Of one delivery.
    max_attempts: int = 4
    # Before the second attempt; doubles from then on.
    retry_seconds: float = 10
    # Flows that may fail in a row.
    max_consecutive_failures: int = 5

    @property
    def retry(self) -> RetryPolicy:
        """The same in the words of flows."""
        return RetryPolicy(self.max_attempts - 1, self.retry_seconds, Backoff.EXPONENTIAL)
