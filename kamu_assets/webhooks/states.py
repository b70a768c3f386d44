"""What may become of a subscription: pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from kamu_assets.webhooks.errors import GivenUpError, UnexpectedStatusError
from kamu_assets.webhooks.model import Subscription
from kamu_assets.webhooks.model import SubscriptionStatus as Status


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is done to a subscription, and what it leads to from where."""

    doing: str
    leads: Mapping[Status, Status]

    def of(self, subscription: Subscription) -> Status:
        """The state afterwards; UnexpectedStatusError."""
        after = self.leads.get(subscription.status)
        if after is None and subscription.status is Status.UNREACHABLE:
            raise GivenUpError(self.doing, subscription)
        if after is None:
            raise UnexpectedStatusError(self.doing, subscription.status)
        return after


_ALIVE = (Status.UNVERIFIED, Status.ENABLED, Status.PAUSED, Status.UNREACHABLE)

PAUSE = Change("Pausing", {Status.ENABLED: Status.PAUSED, Status.PAUSED: Status.PAUSED})
RESUME = Change("Resuming", {Status.PAUSED: Status.ENABLED, Status.ENABLED: Status.ENABLED})
REACTIVATE = Change("Reactivating", {Status.UNREACHABLE: Status.ENABLED})
UPDATE = Change("Updating", {each: each for each in _ALIVE})
ROTATE = Change("Rotating the secret of", {each: each for each in _ALIVE})
REMOVE = Change("Removing", dict.fromkeys(_ALIVE, Status.REMOVED))
# What was paused meanwhile stays so: its owner decides when it is tried again.
STOP = Change("Stopping", {Status.ENABLED: Status.UNREACHABLE, Status.PAUSED: Status.PAUSED})
