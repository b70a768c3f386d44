"""What a slice is made of, and what comes of it: plain values that travel between processes.

Importing this module loads no engine: the node's own processes only ask for slices.
"""

from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.sidecars.use import SidecarUse
from kamu_assets.engines.slices.facts import Encodings, SliceStats
from kamu_assets.engines.workers.wire import Failure
from kamu_assets.odf.data import DataSchema, DatasetVocabulary
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.source import MergeStrategy, ReadStep
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class SliceInput:
    """One file, or the bytes of one push, and how to read it."""

    name: str
    content: bytes | Path
    read: ReadStep
    preprocess: TransformSql | None
    source_event_time: Timestamp
    # Whether the first line of CSV must name the declared columns.
    checks_header: bool = False


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """An input whose rows are to be a Parquet file, in a folder of their own."""

    input: SliceInput
    target: Path
    limits: IngestLimits = field(default_factory=IngestLimits)


@dataclass(frozen=True, slots=True)
class SliceRequest:
    """Everything a slice depends on."""

    inputs: tuple[SliceInput, ...]
    merge: MergeStrategy
    vocab: DatasetVocabulary
    # None until the dataset has a schema.
    schema: DataSchema | None
    # Where the slices of the dataset are that strategies that look back must read, oldest first.
    previous: tuple[str, ...]
    next_offset: int
    system_time: Timestamp
    # The file to write, in a folder of its own: what is written aside on the way goes there, too.
    target: Path
    limits: IngestLimits = field(default_factory=IngestLimits)
    encodings: Encodings = Encodings.KAMU
    # What may save reading slices; `previous` does not have those that it makes up for.
    sidecar: SidecarUse | None = None


@dataclass(frozen=True, slots=True)
class InputOutcome:
    """What became of one input: so many new records, or the reason why it was refused."""

    records: int = 0
    # Whether the dataset gets its schema from this input.
    sets_schema: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What became of the inputs. Without rows there is no file."""

    outcomes: tuple[InputOutcome, ...]
    # The schema that the dataset has, or gets.
    schema: DataSchema | None
    stats: SliceStats | None
