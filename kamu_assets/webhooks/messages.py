"""What webhooks announce."""

from typing import ClassVar

from kamu_assets.database.messages import Message
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.model import SubscriptionStatus


class WebhookSubscriptionChanged(Message):
    """A subscription is new, has another state, or was edited."""

    topic: ClassVar[str] = "webhook.subscription_changed"

    subscription_id: str
    dataset_id: DatasetID | None
    status: SubscriptionStatus


MESSAGES: tuple[type[Message], ...] = (WebhookSubscriptionChanged,)
