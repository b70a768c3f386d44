"""What a node knows of a dataset without opening its blocks."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import Checkpoint, DataSlice
from kamu_assets.odf.identity import AccountID, AccountName, DatasetAlias, DatasetHandle, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset in the registry."""

    id: DatasetID
    kind: DatasetKind
    owner: AccountID
    account: AccountName
    name: DatasetName
    created_at: Timestamp

    @property
    def alias(self) -> DatasetAlias:
        """`account/name`."""
        return DatasetAlias(self.account, self.name)

    @property
    def handle(self) -> DatasetHandle:
        """Identity, alias and kind."""
        return DatasetHandle(self.id, self.alias, self.kind)


@dataclass(frozen=True, slots=True)
class IndexedData:
    """What an AddData or ExecuteTransform says, as far as planning needs it."""

    data_slice: DataSlice | None = None
    checkpoint: Checkpoint | None = None
    previous_watermark: Timestamp | None = None
    watermark: Timestamp | None = None

    @property
    def records(self) -> int:
        """Rows the block added."""
        if self.data_slice is None:
            return 0
        interval = self.data_slice.offset_interval
        return interval.end - interval.start + 1


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    """One block of the chain of `head`, as the block index keeps it."""

    sequence_number: int
    block_hash: Multihash
    event_kind: EventKind
    # Name of the push source, or of the source whose state an AddData keeps.
    subject: str | None
    system_time: Timestamp
    size: int
    data: IndexedData | None = None


@dataclass(frozen=True, slots=True)
class DatasetStatistics:
    """Sums over the chain of `head`."""

    blocks: int = 0
    slices: int = 0
    records: int = 0
    data_size: int = 0
    checkpoints_size: int = 0
    last_offset: int | None = None
    watermark: Timestamp | None = None
    # System times of the newest block and of the newest block with data or a watermark.
    updated_at: Timestamp | None = None
    pulled_at: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset with its head and its sums."""

    entry: DatasetEntry
    head: Multihash
    statistics: DatasetStatistics


@dataclass(frozen=True, slots=True)
class NewSlice:
    """A finished Parquet file, on the file system of the volume, that a block will name."""

    path: Path
    physical_hash: Multihash
    logical_hash: Multihash
    offset_interval: OffsetInterval
    size: int

    @property
    def data_slice(self) -> DataSlice:
        """What the block says of it."""
        return DataSlice(
            logical_hash=self.logical_hash,
            physical_hash=self.physical_hash,
            offset_interval=self.offset_interval,
            size=self.size,
        )


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A finished engine checkpoint that a block will name."""

    path: Path
    physical_hash: Multihash
    size: int

    @property
    def checkpoint(self) -> Checkpoint:
        """What the block says of it."""
        return Checkpoint(physical_hash=self.physical_hash, size=self.size)


NewObject = NewSlice | NewCheckpoint


@dataclass(frozen=True, slots=True)
class CommitResult:
    """Where the head was, where it is, and what came between."""

    old_head: Multihash | None
    new_head: Multihash
    blocks: int
    records: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """Data came to the node by itself; the push source that was named, if one was."""

    source_name: str | None = None


class RewriteKind(StrEnum):
    """Why a chain does not go on from where it was."""

    # The head went back to an earlier block.
    RESET = "reset"
    # The same rows in fewer slices, behind other blocks.
    COMPACTION = "compaction"
    # All rows were dropped, other events were kept.
    METADATA_ONLY = "metadata-only"
