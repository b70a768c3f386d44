"""How subscribing and delivering fail."""

from collections.abc import Iterable

from kamu_assets.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from kamu_assets.webhooks.model import Subscription, SubscriptionStatus

# What somebody has to mend first need not be tried more often.
_MENDED_AFTER_SECONDS = 300.0


class InvalidTargetUrlError(InvalidError):
    """The node does not send there."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class PlainTargetError(InvalidTargetUrlError):
    """The target is not https."""


class InnerTargetError(InvalidTargetUrlError):
    """The target is at an address that deliveries do not go to."""


class DuplicateLabelError(ConflictError):
    """Another subscription of the dataset has this label."""

    def __init__(self, label: str) -> None:
        super().__init__(f"Label '{label}' is not unique")
        self.label = label


class InvalidLabelError(InvalidError):
    """The label cannot be stored or shown."""


class NoEventTypesError(InvalidError):
    """A subscription to nothing."""

    def __init__(self) -> None:
        super().__init__("At least one event type must be provided")
        self.num_event_types = 0


class UnknownEventTypeError(InvalidError):
    """Nobody is told of such a thing."""

    def __init__(self, given: str, offered: Iterable[str]) -> None:
        known = ", ".join(f'"{each}"' for each in offered)
        super().__init__(f"Invalid value '{given}'. Must be one of: {known}")
        self.given = given


class UnexpectedStatusError(ConflictError):
    """A subscription in this state cannot be treated so."""

    def __init__(self, doing: str, status: SubscriptionStatus) -> None:
        super().__init__(f"{doing} webhook subscription is unexpected at this state")
        self.status = status


class GivenUpError(UnexpectedStatusError):
    """The node does not tell the receiver any more, since that failed too often."""

    def __init__(self, doing: str, subscription: Subscription) -> None:
        super().__init__(doing, subscription.status)
        self.subscription = subscription.id
        self.failures = subscription.consecutive_failures


class SubscriptionNotFoundError(NotFoundError):
    """No such subscription, as far as the caller may know."""

    def __init__(self, subscription: str) -> None:
        super().__init__(f"webhook subscription {subscription} does not exist")
        self.subscription = subscription


class DeliveryFailedError(UnavailableError):
    """An attempt to deliver failed. What the receiver answered beside its status is nobody's business."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        # Seconds that the receiver wants to be left alone.
        self.retry_after = retry_after


class ReceiverGoneError(DeliveryFailedError, InvalidError):
    """The receiver never wants to be asked again."""


class UnreadableSecretError(DeliveryFailedError):
    """Nothing can be signed: the secret was encrypted under another key of the node, or is damaged.

    No receiver can help it, and it takes somebody to mend it.
    """

    def __init__(self) -> None:
        super().__init__(
            "The key of this node does not open the secret of the webhook: restore keys/node.key and restart the "
            "node, or `kamu-node webhook rotate-secret` makes a new secret",
            retry_after=_MENDED_AFTER_SECONDS,
        )


class RecalledError(ConflictError):
    """Somebody wants the delivery no longer to be sent."""

    def __init__(self) -> None:
        super().__init__("the delivery was called back")
