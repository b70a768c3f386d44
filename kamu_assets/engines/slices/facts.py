"""How a slice is to be written, and what is known of one that was. Loads no engine: much only passes it on."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class Encodings(StrEnum):
    """How columns are encoded; a matter of size and speed only, hashes of content do not see it."""

    KAMU = "kamu"  # as upstream writes, readable by every Parquet reader upstream uses
    COMPACT = "compact"  # deltas for offsets, times and integers: smaller and faster, unknown to some older readers


@dataclass(frozen=True, slots=True)
class SliceStats:
    """What a block says about a slice, and what saves reading it again. Without rows there are no offsets."""

    num_records: int
    physical_hash: Multihash
    logical_hash: Multihash
    size: int
    first_offset: int | None
    last_offset: int | None
    max_event_time: Timestamp | None
