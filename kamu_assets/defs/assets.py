"""One executable asset per dataset, made of a single op."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, multi_asset

from kamu_assets.defs import translator
from kamu_assets.defs.resources import UPDATER, Updater
from kamu_assets.orchestration.catalog_state import CatalogRow
from kamu_assets.orchestration.names import op_name

CACHED_ASSETS = 20_000


def dataset_asset(row: CatalogRow) -> AssetsDefinition:
    """The asset that brings a dataset up to date: a root is polled, a derivative computed."""
    spec = translator.spec(row)

    @multi_asset(name=op_name(row.id), specs=[spec], required_resource_keys={UPDATER})
    def update(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
        updater: Updater = context.resources.updater
        update = updater.update(row.id, run_id=context.run.run_id, log=context.log)
        if update is not None:
            yield MaterializeResult(
                asset_key=spec.key,
                metadata=update.metadata,
                data_version=update.data_version,
                tags=update.inputs,
            )

    return update


class AssetCache:
    """Definitions outlive reloads of the catalog: those of unchanged datasets are not made again."""

    def __init__(self, *, capacity: int = CACHED_ASSETS) -> None:
        self._capacity = capacity
        self._assets: OrderedDict[str, AssetsDefinition] = OrderedDict()

    def of(self, rows: Sequence[CatalogRow]) -> list[AssetsDefinition]:
        assets = [self._assets.get(row.revision) or dataset_asset(row) for row in rows]
        self._assets.update(zip((row.revision for row in rows), assets, strict=True))
        while len(self._assets) > max(self._capacity, len(rows)):
            self._assets.popitem(last=False)
        return assets
