"""Use cases of configurations: how the flows of a dataset are done."""

from collections.abc import Mapping

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.compaction_plan import InvalidLimitError
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.flows.configs.store import ConfigStore
from kamu_assets.flows.errors import InvalidFlowConfigError
from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.preconditions import Preconditions, check_dataset_kind
from kamu_assets.flows.priorities import check_priority
from kamu_assets.flows.retrying import FlowConfig, check_policy
from kamu_assets.flows.service import updating
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef


class ConfigService:
    """What is set holds for flows that begin to wait after it."""

    def __init__(self, *, database: Database, datasets: Datasets, access: Access, chains: Chains) -> None:
        self._database = database
        self._datasets = datasets
        self._access = access
        self._configs = ConfigStore()
        self._preconditions = Preconditions(chains)

    def set(self, caller: Caller, dataset: DatasetRef, config: FlowConfig, *, type_: FlowType | None = None) -> None:
        """Replaces what was set before, for flows of a type; without one for those that the arguments are of."""
        check_config(config)
        entry = self._datasets.resolve(caller, dataset)
        binding = Binding(entry.id, type_ or _type_of(entry, config))
        _check_arguments(config, binding.type)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            check_dataset_kind(entry, binding.type)
            if config.ingest is not None:
                self._preconditions.check(entry, FlowType.INGEST)
            self._configs.set(tx, binding, config)

    def remove(self, caller: Caller, dataset: DatasetRef, *, type_: FlowType | None = None) -> bool:
        """Go back to the node's defaults; tells whether something was set."""
        entry = self._datasets.resolve(caller, dataset)
        binding = Binding(entry.id, type_) if type_ is not None else updating(entry)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.WRITE)
            known = self._configs.find(tx, binding)
            self._configs.remove(tx, binding)
        return known is not None

    def all(self, caller: Caller) -> Mapping[Binding, FlowConfig]:
        """What is set, by binding."""
        del caller  # Everybody may read.
        with self._database.reading() as tx:
            return self._configs.all(tx)


def check_config(config: FlowConfig) -> None:
    """Raise `InvalidFlowConfigError` unless flows can be done so."""
    check_priority(config.priority)
    if config.retry is not None:
        check_policy(config.retry)
    try:
        _ = config.compaction and config.compaction.limits
    except InvalidLimitError as error:
        raise InvalidFlowConfigError(str(error)) from error
    if config.reset is not None:
        raise InvalidFlowConfigError("where to reset a dataset to is said each time")
    if config.ingest is not None and config.compaction is not None:
        raise InvalidFlowConfigError("a flow polls a source or compacts a dataset, not both")


def _check_arguments(config: FlowConfig, type_: FlowType) -> None:
    """Arguments of another type would be kept, and never used."""
    for given, wanted in ((config.compaction, FlowType.HARD_COMPACTION), (config.ingest, FlowType.INGEST)):
        if given is not None and type_ is not wanted:
            raise InvalidFlowConfigError(
                f"arguments of {wanted.words} are set for {wanted.words}, not for {type_.words}"
            )


def _type_of(entry: DatasetEntry, config: FlowConfig) -> FlowType:
    if config.compaction is not None:
        return FlowType.HARD_COMPACTION
    return FlowType.INGEST if config.ingest is not None else updating(entry).type
