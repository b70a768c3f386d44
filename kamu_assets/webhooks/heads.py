"""Which heads of a dataset a receiver knows."""

from dataclasses import replace

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.block_index import BlockIndex
from kamu_assets.datasets.references import References
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.odf.multihash import Multihash
from kamu_assets.webhooks.model import EventType, Subscription
from kamu_assets.webhooks.post import Post


class KnownHeads:
    """Compares what a receiver was told with the chain."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._references = References()
        self._blocks = BlockIndex()

    def knows(self, tx: Transaction, subscription: Subscription, head: Multihash) -> bool:
        """Whether it was told of this head or of one after it, or subscribed when it was there."""
        told, dataset = subscription.told_head, subscription.dataset_id
        if told is None or dataset is None:
            return False
        place, reached = (self._blocks.sequence_of(tx, dataset, block) for block in (head, told))
        return place is not None and reached is not None and place <= reached

    def catch_up(self, tx: Transaction, subscription: Subscription) -> None:
        """Have one delivery from the head that the receiver knows to the one there is."""
        dataset, told = subscription.dataset_id, subscription.told_head
        if dataset is None or EventType.DATASET_REF_UPDATED not in subscription.event_types:
            return
        head = self._references.head(tx, dataset)
        if head is not None and head != told:
            breaks = told is not None and self._blocks.sequence_of(tx, dataset, told) is None
            cause = FlowCause(CauseKind.INPUT_UPDATED, input=dataset, head=head, source=UpdateSource.FOUND)
            self._post.tell(tx, subscription, dataset, replace(cause, breaking=breaks), old=told, new=head)
