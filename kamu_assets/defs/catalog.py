"""The catalog as a Dagster component: its state is what the publisher stored last."""

from dataclasses import dataclass, field
from pathlib import Path

from dagster import (
    ComponentLoadContext,
    Definitions,
    Resolvable,
    ResourceDefinition,
    StateBackedComponent,
    in_process_executor,
)
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig

from kamu_assets.defs.assets import AssetCache
from kamu_assets.defs.resources import UPDATER, VERIFIER, no_updater, no_verifier
from kamu_assets.orchestration.catalog_state import CatalogRow, dump_rows, load_rows
from kamu_assets.orchestration.shards import state_key

_cache = AssetCache()


def catalog_definitions(
    rows: tuple[CatalogRow, ...],
    *,
    updater: ResourceDefinition = no_updater,
    verifier: ResourceDefinition = no_verifier,
    cache: AssetCache = _cache,
) -> Definitions:
    """Assets of datasets, executed one after another in the process that has the run."""
    resources = {UPDATER: updater, VERIFIER: verifier}
    return Definitions(assets=cache.of(rows), resources=resources, executor=in_process_executor)


@dataclass
class DatasetCatalog(StateBackedComponent, Resolvable):
    """One asset per dataset of the node, or of one part of its catalog."""

    shard: int = 1
    defs_state: ResolvedDefsStateConfig = field(default_factory=DefsStateConfigArgs.versioned_state_storage)

    @property
    def defs_state_config(self) -> DefsStateConfig:
        return DefsStateConfig.from_args(self.defs_state, default_key=state_key(self.shard))

    def write_state_to_path(self, state_path: Path) -> None:
        """An empty catalog: only the node's scheduler knows the datasets, and publishes them."""
        state_path.write_bytes(dump_rows(()))

    def build_defs_from_state(self, context: ComponentLoadContext, state_path: Path | None) -> Definitions:
        del context
        return catalog_definitions(load_rows(state_path) if state_path else ())
