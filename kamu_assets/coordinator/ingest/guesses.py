"""What can be guessed of a source from a sample: plain values that travel between processes. Loads no engine."""

from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.odf.source import ReadStep


@dataclass(frozen=True, slots=True)
class GuessRequest:
    """A sample, how it is read, and a folder of one's own."""

    path: Path
    read: ReadStep
    scratch: Path
    limits: IngestLimits = field(default_factory=IngestLimits)


@dataclass(frozen=True, slots=True)
class GuessedColumn:
    """A column, and its type as `ddlSchema` calls it; none where that has no word for it."""

    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class GuessedSource:
    """What holds for all of the sample: it can be read with this step, and `key` is another one in each record."""

    read: ReadStep
    columns: tuple[GuessedColumn, ...]
    records: int
    key: str | None
    # A time that every record has.
    event_time: str | None
    # Whether the file names columns alike or not at all, so that some names are ours.
    renamed: bool = False
