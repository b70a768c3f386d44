"""What fetching gives, and where it takes place (ODF: FetchStep)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.fetch.marks import FileMark
from kamu_assets.coordinator.ingest.fetch.savepoints import DatasetSavepoint
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.odf.source import SourceState
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file to ingest, and what to remember of it."""

    path: Path
    name: str
    source_event_time: Timestamp
    source_state: SourceState | None
    # Whether the source has another file after this one.
    has_more: bool = False
    # Of a file that is read where it is.
    mark: FileMark | None = None


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """The moment and the place of a fetch."""

    previous: SourceState | None
    system_time: Timestamp
    # Downloads go here.
    folder: Path
    # Relative paths of a manifest start here.
    base: Path
    limits: FetchLimits = field(default_factory=FetchLimits)
    # What `${{ env.NAME }}` stands for; never the environment of this process.
    variables: Mapping[str, str] = field(default_factory=dict)
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    # Whether the source itself unpacks gzip: then what servers call gzip is not unpacked before.
    unpacks_gzip: bool = False
    # Folders that files may come from; None: any.
    file_roots: tuple[Path, ...] | None = None
    # Where a download that could not be ingested is kept; None: use nothing that was kept, keep nothing.
    savepoint: DatasetSavepoint | None = None
