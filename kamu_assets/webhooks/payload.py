"""What receivers read: the bodies of deliveries."""

import json

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.webhooks.model import Delivery, EventType

# Of the form of the bodies.
VERSION = 2
_BLOCK_REF = "head"


def payload(delivery: Delivery, dataset: DatasetEntry | None) -> bytes:
    """The body of a delivery about a dataset; a test of a subscription to all of them is about none."""
    body: dict[str, object] = {"version": VERSION}
    if dataset is not None:
        body |= {"dataset_id": str(dataset.id), "owner_account_id": str(dataset.owner)}
    if delivery.event_type is EventType.DATASET_REF_UPDATED:
        body |= {"block_ref": _BLOCK_REF, "new_hash": str(delivery.new_hash)}
        if delivery.old_hash is not None:
            body["old_hash"] = str(delivery.old_hash)
        body["is_breaking_change"] = delivery.is_breaking
    return json.dumps(body, separators=(",", ":")).encode()
