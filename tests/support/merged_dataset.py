"""A root dataset that is nothing but its slices: what a merge makes of one input after another."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back
from kamu_assets.coordinator.ingest.sidecars.shelf import Shelf
from kamu_assets.coordinator.ingest.sidecars.use import SidecarUse, known_heads, shelf_name
from kamu_assets.coordinator.ingest.slice_request import SliceInput, SliceRequest, SliceResult
from kamu_assets.coordinator.ingest.worker_jobs import write_slice
from kamu_assets.odf.data import DataSchema, DatasetVocabulary
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import MergeStrategy, ReadStepParquet
from kamu_assets.odf.timestamp import Timestamp
from tests.support.parquet import SliceFile

MOMENT = Timestamp.parse("2030-01-01T00:00:00Z")
# Without a query, columns named like system columns are renamed.
AS_IT_IS = TransformSql(engine="datafusion", query="SELECT * FROM input")

Rows = list[dict[str, Any]]


@dataclass
class MergedDataset:
    """Grows by `ingest`. With a folder for sidecars they are used as the node does."""

    folder: Path
    vocab: DatasetVocabulary = field(default_factory=DatasetVocabulary)
    sidecars: Path | None = None
    limits: IngestLimits = field(default_factory=IngestLimits)
    schema: DataSchema | None = None
    slices: list[Path] = field(default_factory=list)
    next_offset: int = 0
    attempts: int = 0

    def ingest(self, strategy: MergeStrategy, *tables: pa.Table) -> Rows:
        """Merge tables, as one group; gives the new records."""
        result = self.try_ingest(strategy, *tables)
        if result.stats is None:
            return []
        return self.rows(self.slices[-1])

    def try_ingest(self, strategy: MergeStrategy, *tables: pa.Table) -> SliceResult:
        """The same, told as the job tells it."""
        target = self.folder / f"job-{self.attempts}" / "slice"
        self.attempts += 1
        target.parent.mkdir(parents=True)
        use, previous = self._history(strategy)
        result = write_slice(
            SliceRequest(
                inputs=tuple(_input(number, table) for number, table in enumerate(tables)),
                merge=strategy,
                vocab=self.vocab,
                schema=self.schema,
                previous=previous,
                next_offset=self.next_offset,
                system_time=MOMENT,
                target=target,
                limits=self.limits,
                sidecar=use,
            )
        )
        self.schema = result.schema
        if result.stats is not None:
            self.slices.append(target)
            self.next_offset += result.stats.num_records
        return result

    def rows(self, path: Path) -> Rows:
        """The records of a slice."""
        found: Rows = SliceFile(path.read_bytes()).table.to_pylist()
        return found

    def all_rows(self) -> Rows:
        """All records."""
        return [row for path in self.slices for row in self.rows(path)]

    def shelf(self, strategy: MergeStrategy) -> Shelf:
        """Where sidecars of a strategy are."""
        contents = looks_back(strategy)
        if contents is None or self.sidecars is None:
            raise ValueError(strategy)
        return Shelf(self.sidecars / shelf_name(contents, key_columns(strategy)))

    def head(self, slices: int) -> Multihash:
        """A name for the history of so many slices."""
        return Multihash.sha3_256(str(slices).encode())

    def _history(self, strategy: MergeStrategy) -> tuple[SidecarUse | None, tuple[str, ...]]:
        locations = tuple(map(str, self.slices))
        if self.sidecars is None or looks_back(strategy) is None or not self.slices:
            return None, locations
        known = known_heads(self.shelf(strategy).folder)
        base = next((count for count in range(len(self.slices), 0, -1) if self.head(count) in known), None)
        after = locations[base:] if base is not None else locations
        first = self.rows(self.slices[base])[0][self.vocab.offset_column] if base is not None and after else None
        use = SidecarUse(
            folder=self.sidecars,
            head=self.head(len(self.slices)),
            next_offset=self.next_offset,
            base=self.head(base) if base is not None else None,
            base_offset=self.next_offset if first is None else first,
        )
        return use, after


def _input(number: int, table: pa.Table) -> SliceInput:
    content = io.BytesIO()
    pq.write_table(table, content)
    return SliceInput(
        name=f"input {number}",
        content=content.getvalue(),
        read=ReadStepParquet(),
        preprocess=AS_IT_IS,
        source_event_time=MOMENT,
    )
