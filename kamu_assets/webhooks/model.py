"""Subscriptions and deliveries."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

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
    secret: SecretStr
    created_at: Timestamp
    # Deliveries that failed for good since one succeeded.
    consecutive_failures: int = 0
    # The newest head that the receiver was told of, or that was there when it subscribed.
    told_head: Multihash | None = None

    @property
    def name(self) -> str:
        """Its label, or where it points to."""
        return self.label or self.target_url


class DeliveryState(StrEnum):
    """How far a delivery is."""

    # Never sent: newer updates are folded into it.
    WAITING = "WAITING"
    # Somebody sends it, or died while sending it.
    SENDING = "SENDING"
    # Will be sent again as it was.
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
    # When it may be sent; while it is being sent, when to give the sender up.
    due_at: Timestamp
    old_hash: Multihash | None = None
    new_hash: Multihash | None = None
    is_breaking: bool = False
    state: DeliveryState = DeliveryState.WAITING
    # Counted from 1.
    attempt: int = 0
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
    # Deliveries that may fail in a row.
    max_consecutive_failures: int = 5
