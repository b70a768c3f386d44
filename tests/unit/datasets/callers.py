"""Another account, and rules that hide a dataset from all."""

from kamu_assets.auth.model import Caller
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.service import Datasets
from kamu_assets.governance.access import Access, Action, Owned
from tests.support.heart import Heart, account

ALICE = account("alice")


class HidesDaily(Access):
    """Lets nobody know of one dataset."""

    def allows(self, tx: Transaction, caller: Caller, dataset: Owned, action: Action) -> bool:
        return str(dataset.alias.name) != "daily" and super().allows(tx, caller, dataset, action)


def datasets_with(heart: Heart, access: Access) -> Datasets:
    return Datasets(
        database=heart.database,
        volumes=heart.volumes,
        chains=heart.chains,
        committer=heart.committer,
        outbox=heart.outbox,
        access=access,
        clock=heart.clock,
    )
