"""What is asked about slices in worker processes, and the answers. Importing this module loads no reader of Parquet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kamu_assets.odf.data import DataSchema, DatasetVocabulary, OffsetInterval
from kamu_assets.odf.multihash import Multihash


@dataclass(frozen=True)
class SliceQuestion:
    """A slice, and what its block says about the rows in it."""

    location: str
    offsets: OffsetInterval
    schema: DataSchema | None
    vocab: DatasetVocabulary


@dataclass(frozen=True)
class SliceAnswer:
    """What the rows are; None where the file is not even that."""

    logical_hash: Multihash | None = None
    records: int = 0
    # Why no rows can be read.
    unreadable: str | None = None
    wrong_schema: str | None = None
    wrong_offsets: str | None = None
    max_event_millis: int | None = None
    # What rows link, by column; each name once.
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wrong_links: str | None = None


@dataclass(frozen=True)
class TwoSlices:
    """Locations of both, and the column that is expected to differ."""

    one: str
    other: str
    offset_column: str
