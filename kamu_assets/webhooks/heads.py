"""Which heads of datasets a receiver knows."""

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.references import References
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from kamu_assets.webhooks.delivery_store import DeliveryStore
from kamu_assets.webhooks.model import EventType, Subscription
from kamu_assets.webhooks.post import Post

# Changes that nobody had looked at yet when a receiver was stopped were made shortly before.
_UNREAD_NS = 60 * NANOS_PER_SECOND


class KnownHeads:
    """Compares what a receiver was told with the chain."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._references = References()
        self._blocks = BlockIndex()
        self._deliveries = DeliveryStore()

    def knows(self, tx: Transaction, subscription: Subscription, dataset: DatasetID, head: Multihash) -> bool:
        """Whether it was told of this head or of one after it, or is about to be, or subscribed when it was there."""
        told = subscription.told_head
        if subscription.dataset_id is None:
            waiting = self._deliveries.waiting(tx, subscription.id, dataset, EventType.DATASET_REF_UPDATED)
            told = None if waiting is None else waiting.new_hash
        if told is None:
            return False
        place, reached = (self._blocks.sequence_of(tx, dataset, block) for block in (head, told))
        return place is not None and reached is not None and place <= reached

    def catch_up(self, tx: Transaction, subscription: Subscription, *, since: Timestamp | None) -> None:
        """Have one delivery for each dataset, from the head that the receiver knows to the one there is.

        `since` when it was told nothing, where that is known.
        """
        if EventType.DATASET_REF_UPDATED not in subscription.event_types:
            return
        if subscription.dataset_id is not None:
            head = self._references.head(tx, subscription.dataset_id)
            self._tell(tx, subscription, subscription.dataset_id, old=subscription.told_head, new=head)
            return
        reached = self._deliveries.reached(tx, subscription.id)
        began = Timestamp(max(subscription.created_at.ns, since.ns - _UNREAD_NS if since is not None else 0))
        for dataset, head in self._references.heads(tx).items():
            told = reached[dataset] if dataset in reached else self._blocks.newest_until(tx, dataset, began)
            self._tell(tx, subscription, dataset, old=told, new=head)

    def _tell(
        self,
        tx: Transaction,
        subscription: Subscription,
        dataset: DatasetID,
        *,
        old: Multihash | None,
        new: Multihash | None,
    ) -> None:
        if new is None or new == old:
            return
        breaks = old is not None and self._blocks.sequence_of(tx, dataset, old) is None
        cause = FlowCause(CauseKind.INPUT_UPDATED, input=dataset, head=new, source=UpdateSource.FOUND, breaking=breaks)
        self._post.tell(tx, subscription, dataset, cause, old=old, new=new)
