"""Where a derivative's columns come from, as Dagster shows it."""

from collections.abc import Mapping

import structlog
from dagster import AssetKey, TableColumnDep, TableColumnLineage

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetTransform
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.orchestration.catalog.state import MAX_COLUMNS, column_names
from kamu_assets.orchestration.names import key_of
from kamu_assets.orchestration.reports.column_lineage import column_lineage

log = structlog.get_logger(__name__)


class ColumnOrigins:
    """Follows columns from a derivative to the inputs that this node has."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._entries = DatasetStore()

    def of(self, tx: Transaction, state: ChainState) -> TableColumnLineage | None:
        """None for roots, and where nothing is known."""
        if state.transform is None:
            return None
        try:
            return self._of(tx, state, state.transform)
        except KamuError as error:
            log.warning("columns_not_followed", head=str(state.head), reason=str(error))
            return None
        except Exception:
            # A courtesy, like the preview: what cannot be followed does not fail the run.
            log.warning("columns_not_followed", head=str(state.head), exc_info=True)
            return None

    def _of(self, tx: Transaction, state: ChainState, transform: SetTransform) -> TableColumnLineage | None:
        columns, keys = self._inputs(tx, transform)
        found = column_lineage(transform.transform, tuple(columns.items()))
        given = {state.vocab.offset_column, state.vocab.system_time_column}
        deps = {
            name: [TableColumnDep(keys[table], column) for table, column in found[name]]
            # What the engine or its query calls otherwise is not a column of the dataset.
            for name in column_names(state.schema)[:MAX_COLUMNS]
            if name in found and name not in given
        }
        return TableColumnLineage(deps) if deps else None

    def _inputs(
        self, tx: Transaction, transform: SetTransform
    ) -> tuple[Mapping[str, tuple[str, ...]], Mapping[str, AssetKey]]:
        """Columns and asset of each input, by its name in the queries."""
        columns, keys = {}, {}
        for each in transform.inputs:
            ref = parse_dataset_ref(each.dataset_ref)
            entry = self._entries.find(tx, ref) if isinstance(ref, DatasetID) else None
            if entry is None:
                continue
            name = each.alias or str(entry.name)
            columns[name] = column_names(self._chains.state(entry.id, tx=tx).schema)
            keys[name] = key_of(entry.alias)
        return columns, keys
