"""What Dagster is told when a dataset has new data: the same facts, whoever made the commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    DataVersion,
    MetadataValue,
    TableColumn,
    TableColumnConstraints,
    TableColumnLineage,
    TableSchema,
)
from dagster._core.definitions.data_version import get_input_data_version_tag

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.intervals import ChainInterval, SliceRef
from kamu_assets.datasets.chains.statistics import StatisticsStore
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.catalog.state import CatalogColumn, columns_of
from kamu_assets.orchestration.names import METADATA_DATASET_ID, METADATA_HEAD, key_of
from kamu_assets.orchestration.reports.column_origins import ColumnOrigins
from kamu_assets.orchestration.reports.preview import preview
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.volumes import Volumes

# Values that Dagster's metadata may have here.
Shown = MetadataValue[Any] | TableColumnLineage | TableSchema | str | int | float

MAX_BLOCKS_SHOWN = 20
ORIGINS_SHOWN = 5

# The columns that every dataset begins with (ODF: Common Data Schema); the last may have any name.
_GIVEN = {
    "offset": "Position of the record in the dataset",
    "op": "0: added; 1: retracted; 2 and 3: corrected, from and to",
    "system_time": "When this node recorded it",
}
_EVENT_TIME = "When it happened"
_TIMES = frozenset({"Timestamp", "Date"})


@dataclass(frozen=True, slots=True)
class Materialization:
    """What Dagster shows of a commit, or of several in a row."""

    data_version: DataVersion
    metadata: Mapping[str, Shown]
    # Which data of its inputs went into it. Dagster would take what it knew of when the run began: less, since pushes
    # are told to it after they are followed, and call the dataset unsynced for ever.
    inputs: Mapping[str, str] = field(default_factory=dict)
    # Where the commits left the watermark, if they moved it.
    watermark_moved_to: Timestamp | None = None


class Materializations:
    """Describes commits from the registry and the newest slice."""

    def __init__(self, *, database: Database, chains: Chains, volumes: Volumes) -> None:
        self._database = database
        self._chains = chains
        self._volumes = volumes
        self._entries = DatasetStore()
        self._statistics = StatisticsStore()
        self._index = BlockIndex()
        self._origins = ColumnOrigins(chains)

    def describe(
        self, dataset: DatasetID, *, after: Multihash | None, until: Multihash, seconds: float | None = None
    ) -> Materialization:
        """Facts on the blocks in `(after, until]`."""
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
            sums = self._statistics.get(tx, dataset)
            state = self._chains.state(dataset, tx=tx)
            interval = self._chains.interval(dataset, after=after, until=until, tx=tx)
            version = self._version(tx, dataset, until)
            inputs = self._versions_read(tx, state)
            origins = self._origins.of(tx, state)
        metadata: dict[str, Shown] = {
            METADATA_DATASET_ID: str(dataset),
            METADATA_HEAD: str(until),
            "dagster/row_count": sums.records,
            "records_added": sum(_records(each) for each in interval.slices),
            "bytes": sums.data_size,
        }
        metadata |= _of_slices(interval.slices)
        if columns := columns_of(state.schema):
            metadata["dagster/column_schema"] = table_schema(columns, origins)
        if origins:
            metadata["dagster/column_lineage"] = origins
        if state.watermark is not None:
            metadata |= _watermark(state.watermark)
        if seconds is not None:
            metadata["duration_seconds"] = round(seconds, 3)
        if interval.slices and (table := self._preview(entry, interval.slices[-1])):
            metadata["preview"] = MetadataValue.md(table)
        return Materialization(DataVersion(version), metadata, inputs, _moved_to(interval))

    def _versions_read(self, tx: Transaction, state: ChainState) -> dict[str, str]:
        """The tags that name the data version of each input, as far as it was read."""
        read = state.last_transform.query_inputs if state.last_transform else ()
        blocks = {each.dataset_id: each.last_block_hash for each in read}
        entries = self._entries.get_many(tx, list(blocks)) if blocks else ()
        found = [(entry, block) for entry in entries if (block := blocks[entry.id]) is not None]
        return {
            get_input_data_version_tag(key_of(entry.alias)): self._version(tx, entry.id, block)
            for entry, block in found
        }

    def _version(self, tx: Transaction, dataset: DatasetID, until: Multihash) -> str:
        """The last block with data up to there: other events change nothing for who reads the dataset."""
        sequence = self._index.sequence_of(tx, dataset, until)
        newest = None if sequence is None else self._index.newest_data(tx, dataset, until=sequence)
        return str(newest.block_hash if newest else until)

    def _preview(self, entry: DatasetEntry, newest: SliceRef) -> str | None:
        volume = self._volumes.for_kind(entry.kind)
        return preview(volume.location(data_key(entry.id, newest.physical_hash)))


def table_schema(columns: tuple[CatalogColumn, ...], origins: TableColumnLineage | None = None) -> TableSchema:
    """Columns as Dagster shows them. The stock webserver draws no lineage of columns, so each says where it is from."""
    return TableSchema(
        columns=[
            TableColumn(
                each.name, type=each.type, description=text or _origin(each, origins), constraints=_constraints(each)
            )
            for each, text in zip(columns, _descriptions(columns), strict=True)
        ]
    )


def _origin(column: CatalogColumn, origins: TableColumnLineage | None) -> str | None:
    found = origins.deps_by_column.get(column.name, ()) if origins else ()
    named = [f"{each.column_name} of {'/'.join(each.asset_key.path)}" for each in found]
    more = f" and {len(named) - ORIGINS_SHOWN} more" if len(named) > ORIGINS_SHOWN else ""
    return f"From {', '.join(named[:ORIGINS_SHOWN])}{more}" if named else None


def _descriptions(columns: tuple[CatalogColumn, ...]) -> list[str | None]:
    given = [_GIVEN.get(each.name) for each in columns[: len(_GIVEN)]]
    rest: list[str | None] = [None] * (len(columns) - len(given))
    if rest and all(given) and columns[len(given)].type in _TIMES:
        rest[0] = _EVENT_TIME
    return [*given, *rest]


def _constraints(column: CatalogColumn) -> TableColumnConstraints:
    return TableColumnConstraints(nullable=column.nullable)


def _records(each: SliceRef) -> int:
    return each.offset_interval.end - each.offset_interval.start + 1


def _of_slices(slices: tuple[SliceRef, ...]) -> dict[str, Shown]:
    if not slices:
        return {}
    newest = slices[-MAX_BLOCKS_SHOWN:]
    return {
        "offsets": f"[{slices[0].offset_interval.start}, {slices[-1].offset_interval.end}]",
        "blocks": MetadataValue.md("\n".join(f"- `{each.block_hash}`" for each in newest)),
    }


def _moved_to(interval: ChainInterval) -> Timestamp | None:
    moved = [each.watermark for each in interval.watermarks if each.watermark != each.previous]
    return moved[-1] if moved else None


def _watermark(watermark: Timestamp) -> dict[str, Shown]:
    try:
        return {"watermark": MetadataValue.timestamp(watermark.to_datetime())}
    except (OverflowError, ValueError):
        # Event times may lie in years that Python's calendar does not have.
        return {"watermark": str(watermark)}
