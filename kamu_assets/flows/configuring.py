"""Use cases of configurations: how the flows of a dataset are done."""

from collections.abc import Mapping

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.datasets.service import Datasets
from kamu_assets.flows.config_store import ConfigStore
from kamu_assets.flows.model import Binding
from kamu_assets.flows.priorities import check_priority
from kamu_assets.flows.retrying import FlowConfig, check_policy
from kamu_assets.flows.service import updating
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef


class ConfigService:
    """What is set holds for flows that begin to wait after it."""

    def __init__(self, *, database: Database, datasets: Datasets, access: Access) -> None:
        self._database = database
        self._datasets = datasets
        self._access = access
        self._configs = ConfigStore()

    def set(self, caller: Caller, dataset: DatasetRef, config: FlowConfig) -> None:
        """Replaces what was set before."""
        check_priority(config.priority)
        if config.retry is not None:
            check_policy(config.retry)
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            self._configs.set(tx, updating(entry), config)

    def remove(self, caller: Caller, dataset: DatasetRef) -> bool:
        """Go back to the node's defaults; tells whether something was set."""
        entry = self._datasets.resolve(caller, dataset)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            known = self._configs.find(tx, updating(entry))
            self._configs.remove(tx, updating(entry))
        return known is not None

    def all(self, caller: Caller) -> Mapping[Binding, FlowConfig]:
        """What is set, by binding."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            return self._configs.all(tx)
