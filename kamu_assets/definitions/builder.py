"""Definitions that can be executed, because the node is in the process."""

from collections.abc import Sequence

from dagster import Definitions, JobDefinition, ResourceDefinition

from kamu_assets.defs.assets import AssetCache
from kamu_assets.defs.catalog import catalog_definitions
from kamu_assets.defs.deliveries import Teller
from kamu_assets.defs.jobs import Examiner, flow_definitions
from kamu_assets.defs.operations import Operator
from kamu_assets.defs.resources import Checker, Updater, Verifier, updater_resource
from kamu_assets.defs.sensors import Keeper
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.scoped import CACHED_JOBS


class NodeDefinitions:
    """What warm workers execute (the `DefinitionsBuilder` of the adapter)."""

    def __init__(
        self,
        *,
        updater: Updater,
        verifier: Verifier,
        checker: Checker,
        examiner: Examiner,
        operator: Operator,
        keeper: Keeper,
        teller: Teller,
    ) -> None:
        self._updater = updater_resource(updater)
        self._verifier = ResourceDefinition.hardcoded_resource(verifier)
        self._checker = ResourceDefinition.hardcoded_resource(checker)
        self._examiner = ResourceDefinition.hardcoded_resource(examiner)
        self._operator = ResourceDefinition.hardcoded_resource(operator)
        self._keeper = ResourceDefinition.hardcoded_resource(keeper)
        self._teller = ResourceDefinition.hardcoded_resource(teller)
        self._jobs: dict[str, JobDefinition] = {}
        self._cache = AssetCache(capacity=CACHED_JOBS)

    def datasets(self, rows: Sequence[CatalogRow]) -> Definitions:
        """One executable asset per row."""
        return catalog_definitions(
            tuple(rows), updater=self._updater, verifier=self._verifier, checker=self._checker, cache=self._cache
        )

    def job(self, name: str) -> JobDefinition:
        """A job of the flows location."""
        if name not in self._jobs:
            all_ = flow_definitions(self._examiner, self._operator, self._keeper, self._teller)
            self._jobs[name] = all_.get_repository_def().get_job(name)
        return self._jobs[name]


class ListedDefinitions:
    """The same for processes that create runs and execute none."""

    def __init__(self) -> None:
        # A code server keeps all of its datasets; here those of years would gather.
        self._cache = AssetCache(capacity=CACHED_JOBS)

    def datasets(self, rows: Sequence[CatalogRow]) -> Definitions:
        """One asset per row."""
        return catalog_definitions(tuple(rows), cache=self._cache)

    def job(self, name: str) -> JobDefinition:
        """A job of the flows location."""
        return flow_definitions().get_repository_def().get_job(name)
