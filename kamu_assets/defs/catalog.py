"""The catalog as a Dagster component: its state is what the publisher stored last."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster import (
    ComponentLoadContext,
    DagsterInstance,
    Definitions,
    Resolvable,
    ResourceDefinition,
    StateBackedComponent,
    in_process_executor,
)
from dagster._core.definitions.metadata.source_code import CodeReference
from dagster._core.instance.config import is_dagster_home_set
from dagster._core.storage.defs_state.base import DefsStateStorage
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from dagster_shared.yaml_utils.source_position import SourcePosition

from kamu_assets.defs.assets import AssetCache
from kamu_assets.defs.resources import (
    CHECKER,
    UPDATER,
    VERIFIER,
    NoNodeError,
    no_checker,
    no_updater,
    no_verifier,
)
from kamu_assets.orchestration.catalog.shards import state_key
from kamu_assets.orchestration.catalog.state import CatalogRow, load_rows

_cache = AssetCache()


def catalog_definitions(
    rows: tuple[CatalogRow, ...],
    *,
    updater: ResourceDefinition = no_updater,
    verifier: ResourceDefinition = no_verifier,
    checker: ResourceDefinition = no_checker,
    cache: AssetCache = _cache,
) -> Definitions:
    """Assets of datasets, executed one after another in the process that has the run."""
    resources = {UPDATER: updater, VERIFIER: verifier, CHECKER: checker}
    return Definitions(assets=cache.of(rows), resources=resources, executor=in_process_executor)


@dataclass
class DatasetCatalog(StateBackedComponent, Resolvable):
    """One asset per dataset of the node, or of one part of its catalog."""

    shard: int = 1
    defs_state: ResolvedDefsStateConfig = field(default_factory=DefsStateConfigArgs.versioned_state_storage)

    @property
    def defs_state_config(self) -> DefsStateConfig:
        asked = DefsStateConfig.from_args(self.defs_state, default_key=state_key(self.shard))
        # Dagster's tools for developers would put a state of their own in the place of the node's.
        return DefsStateConfig(key=asked.key, management_type=asked.management_type, refresh_if_dev=False)

    @classmethod
    def get_code_references_for_yaml(
        cls, yaml_path: Path, source_position: SourcePosition, context: ComponentLoadContext
    ) -> Sequence[CodeReference]:
        """None: datasets come from manifests, not from the file that names this component."""
        del yaml_path, source_position, context
        return ()

    def write_state_to_path(self, state_path: Path) -> None:
        """Refused: only the node's scheduler knows the datasets, and publishes them."""
        del state_path
        raise NoNodeError

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        if DefsStateStorage.get() is None and is_dagster_home_set():
            return self._of_home(context)
        return super().build_defs(context)

    def _of_home(self, context: ComponentLoadContext) -> Definitions:
        """What the newest state says. Tools like `dg list defs` know the home, but give no component its storage."""
        key = self.defs_state_config.key
        with DagsterInstance.get() as instance, TemporaryDirectory() as folder:
            storage = instance.defs_state_storage
            version = storage.get_latest_version(key) if storage else None
            if storage is None or version is None:
                return self.build_defs_from_state(context, None)
            path = Path(folder) / "state"
            storage.download_state_to_path(key, version, path)
            return self.build_defs_from_state(context, path)

    def build_defs_from_state(self, context: ComponentLoadContext, state_path: Path | None) -> Definitions:
        del context
        return catalog_definitions(load_rows(state_path) if state_path else ())
