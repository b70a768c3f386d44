"""What Dagster is told when a dataset has new data: the same facts, whoever made the commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster import (
    DataVersion,
    MetadataValue,
    TableColumn,
    TableColumnConstraints,
    TableSchema,
)

from kamu_assets.database.database import Database
from kamu_assets.datasets.chains import Chains
from kamu_assets.datasets.intervals import SliceRef
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.statistics import StatisticsStore
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.catalog_state import CatalogColumn, columns_of
from kamu_assets.orchestration.names import METADATA_DATASET_ID, METADATA_HEAD
from kamu_assets.orchestration.preview import preview
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.volumes import Volumes

# Values that Dagster's metadata may have here.
Shown = MetadataValue[Any] | TableSchema | str | int | float

MAX_BLOCKS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Materialization:
    """What Dagster shows of a commit, or of several in a row."""

    data_version: DataVersion
    metadata: Mapping[str, Shown]


class Materializations:
    """Describes commits from the registry and the newest slice."""

    def __init__(self, *, database: Database, chains: Chains, volumes: Volumes) -> None:
        self._database = database
        self._chains = chains
        self._volumes = volumes
        self._entries = DatasetStore()
        self._statistics = StatisticsStore()

    def describe(
        self, dataset: DatasetID, *, after: Multihash | None, until: Multihash, seconds: float | None = None
    ) -> Materialization:
        """Facts on the blocks in `(after, until]`."""
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
            sums = self._statistics.get(tx, dataset)
            state = self._chains.state(dataset, tx=tx)
            interval = self._chains.interval(dataset, after=after, until=until, tx=tx)
        metadata: dict[str, Shown] = {
            METADATA_DATASET_ID: str(dataset),
            METADATA_HEAD: str(until),
            "dagster/row_count": sums.records,
            "records_added": sum(_records(each) for each in interval.slices),
            "bytes": sums.data_size,
        }
        metadata |= _of_slices(interval.slices)
        if columns := columns_of(state.schema):
            metadata["dagster/column_schema"] = table_schema(columns)
        if state.watermark is not None:
            metadata |= _watermark(state.watermark)
        if seconds is not None:
            metadata["duration_seconds"] = round(seconds, 3)
        if interval.slices and (table := self._preview(entry, interval.slices[-1])):
            metadata["preview"] = MetadataValue.md(table)
        return Materialization(DataVersion(str(until)), metadata)

    def _preview(self, entry: DatasetEntry, newest: SliceRef) -> str | None:
        volume = self._volumes.for_kind(entry.kind)
        return preview(volume.location(data_key(entry.id, newest.physical_hash)))


def table_schema(columns: tuple[CatalogColumn, ...]) -> TableSchema:
    """Columns as Dagster shows them."""
    return TableSchema(
        columns=[
            TableColumn(each.name, type=each.type, constraints=TableColumnConstraints(nullable=each.nullable))
            for each in columns
        ]
    )


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


def _watermark(watermark: Timestamp) -> dict[str, Shown]:
    try:
        return {"watermark": MetadataValue.timestamp(watermark.to_datetime())}
    except (OverflowError, ValueError):
        # Event times may lie in years that Python's calendar does not have.
        return {"watermark": str(watermark)}
