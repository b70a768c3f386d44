"""One executable asset per dataset and its checks, made of a single op."""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetsDefinition,
    MaterializeResult,
    multi_asset,
)

from kamu_assets.defs import translator
from kamu_assets.defs.resources import CHECKER, UPDATER, VERIFIER, Checker, Updater, Verifier
from kamu_assets.errors import KamuError
from kamu_assets.orchestration.catalog.state import CatalogRow
from kamu_assets.orchestration.names import CHECK_VERIFY, op_name

CACHED_ASSETS = 20_000

Outcome = MaterializeResult[None] | AssetCheckResult


def dataset_asset(row: CatalogRow) -> AssetsDefinition:
    """The asset that brings a dataset up to date: a root is polled, a derivative computed.

    What the dataset declares of its rows is checked after them, in the same run. The check that verifies it reads all
    of it; so a run does one or the other.
    """
    spec, checks = translator.spec(row), translator.check_specs(row)

    @multi_asset(
        name=op_name(row.id),
        specs=[spec],
        check_specs=checks,
        can_subset=True,
        required_resource_keys={UPDATER, VERIFIER, CHECKER},
    )
    def update(context: AssetExecutionContext) -> Iterator[Outcome]:
        names = {key.name for key in context.selected_asset_check_keys}
        if context.selected_asset_keys:
            updated = list(_updated(context, row))
            yield from updated
            # What was right about the rows is, as long as there are no others.
            names = names if updated else set()
        elif CHECK_VERIFY in names:
            yield from _verified(context, row)
        if names - {CHECK_VERIFY}:
            yield from _checked(context, row, names)

    return update


def _updated(context: AssetExecutionContext, row: CatalogRow) -> Iterator[Outcome]:
    updater: Updater = context.resources.updater
    try:
        update = updater.update(row.id, run_id=context.run.run_id, log=context.log)
    except KamuError as error:
        # Where in our code it was found helps nobody who reads the run's log.
        raise translator.failure(row, error) from error.with_traceback(None)
    if update is not None:
        yield MaterializeResult(
            asset_key=translator.key(row),
            metadata=update.metadata,
            data_version=update.data_version,
            tags=update.inputs,
        )


def _verified(context: AssetExecutionContext, row: CatalogRow) -> Iterator[Outcome]:
    verifier: Verifier = context.resources.verifier
    verdict = verifier.verify(row.id, run_id=context.run.run_id, log=context.log)
    yield AssetCheckResult(
        asset_key=translator.key(row),
        check_name=CHECK_VERIFY,
        passed=verdict.passed,
        severity=AssetCheckSeverity.ERROR,
        description=verdict.description,
        metadata=verdict.metadata,
    )


def _checked(context: AssetExecutionContext, row: CatalogRow, names: Collection[str]) -> Iterator[Outcome]:
    checker: Checker = context.resources.checker
    for name, verdict in checker.check(row.id, log=context.log).items():
        # The dataset may declare other checks by now: Dagster does not know them yet.
        if name in names:
            yield AssetCheckResult(
                asset_key=translator.key(row),
                check_name=name,
                passed=verdict.passed,
                severity=AssetCheckSeverity.ERROR if verdict.is_error else AssetCheckSeverity.WARN,
                description=verdict.description,
                metadata=verdict.metadata,
            )


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
