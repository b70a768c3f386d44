"""Who may see and change which subscription: what a caller may not maintain does not exist."""

from collections.abc import Sequence

from kamu_assets.auth.model import Caller
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.lookup import Lookup
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.webhooks.errors import SubscriptionNotFoundError
from kamu_assets.webhooks.model import Subscription
from kamu_assets.webhooks.store import SubscriptionStore


class Permits:
    """Finds subscriptions for callers."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lookup = Lookup(access)
        self._entries = DatasetStore()
        self._subscriptions = SubscriptionStore()

    def dataset(self, tx: Transaction, caller: Caller, ref: DatasetRef | None) -> DatasetEntry | None:
        """The dataset to subscribe to, or None for all: DatasetNotFoundError, DeniedError."""
        if ref is not None:
            return self._lookup.get(tx, caller, ref, Action.MAINTAIN)
        if caller.is_admin:
            return None
        what = "subscribe to all datasets"
        raise LoginRequiredError(what) if caller.account is None else AccessDeniedError(caller.account.name, what)

    def find(self, tx: Transaction, caller: Caller, id_: str) -> Subscription:
        """SubscriptionNotFoundError."""
        found = self._subscriptions.find(tx, id_)
        if found is None or not self._may_see(tx, caller, found):
            raise SubscriptionNotFoundError(id_)
        return found

    def hold(self, tx: Transaction, caller: Caller, id_: str) -> Subscription:
        """The same, to be changed in this transaction."""
        self._subscriptions.hold(tx, id_)
        return self.find(tx, caller, id_)

    def list(self, tx: Transaction, caller: Caller, ref: DatasetRef | None) -> Sequence[Subscription]:
        """Those of a dataset, or all that the caller may see."""
        if ref is not None:
            return self._subscriptions.of_dataset(tx, self._lookup.get(tx, caller, ref, Action.MAINTAIN).id)
        return [each for each in self._subscriptions.all(tx) if self._may_see(tx, caller, each)]

    def _may_see(self, tx: Transaction, caller: Caller, subscription: Subscription) -> bool:
        if subscription.dataset_id is None:
            return caller.is_admin
        entry = self._entries.find(tx, subscription.dataset_id)
        return entry is not None and self._access.allows(tx, caller, entry, Action.MAINTAIN)
