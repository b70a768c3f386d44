"""What data blocks between two points of a chain added, told by the block index alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import DataSlice
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class SliceRef:
    """A data slice and the block that added it."""

    block_hash: Multihash
    data_slice: DataSlice

    @property
    def physical_hash(self) -> Multihash:
        """The name of its file."""
        return self.data_slice.physical_hash

    @property
    def offset_interval(self) -> OffsetInterval:
        """First and last offset."""
        return self.data_slice.offset_interval


@dataclass(frozen=True, slots=True)
class ExplicitWatermark:
    """The watermark a data block carried, and when that block was made."""

    system_time: Timestamp
    watermark: Timestamp
    # The one before it, if there was any.
    previous: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class ChainInterval:
    """What data blocks of an interval added, oldest first."""

    slices: tuple[SliceRef, ...]
    watermarks: tuple[ExplicitWatermark, ...]


def data_of(blocks: Sequence[IndexedBlock]) -> ChainInterval:
    """What these blocks added, in their order."""
    data = [(indexed, indexed.data) for indexed in blocks if indexed.data is not None]
    return ChainInterval(
        slices=tuple(SliceRef(indexed.block_hash, part.data_slice) for indexed, part in data if part.data_slice),
        watermarks=tuple(
            ExplicitWatermark(indexed.system_time, part.watermark, part.previous_watermark)
            for indexed, part in data
            if part.watermark
        ),
    )
