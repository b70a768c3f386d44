"""Subscriptions by what people call them."""

from typing import TYPE_CHECKING

from kamu_api.cli.misuse import MisuseError

if TYPE_CHECKING:
    from kamu_assets.node import Node
    from kamu_assets.webhooks.model import Subscription


def found_webhook(node: "Node", text: str) -> "Subscription":
    """By id, or by a label that only one has."""
    from kamu_assets.webhooks.errors import SubscriptionNotFoundError

    known = node.webhooks.service.list(node.auth.admin_caller())
    found = [each for each in known if each.id == text] or [each for each in known if text and each.label == text]
    if len(found) > 1:
        raise MisuseError(f"{len(found)} subscriptions have the label {text!r}: name one by its id")
    if not found:
        raise SubscriptionNotFoundError(text)
    return found[0]
