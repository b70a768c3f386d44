"""What can be exported and what comes of it: plain values that travel between processes. Loads no engine."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ExportFormat(StrEnum):
    """Files that rows can become; the value is the ending of their names."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Rows of a query, and the files they become: one, or as many as `records_per_file` asks for."""

    sql: str
    format: ExportFormat
    # Of one's own; what is in it is removed.
    folder: Path
    records_per_file: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class ExportJob:
    request: ExportRequest
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file in the folder of the request."""

    name: str
    records: int
    size: int


@dataclass(frozen=True, slots=True)
class ExportResult:
    """Files in the order of their rows; one without rows if there are none."""

    files: tuple[ExportedFile, ...]

    @property
    def records(self) -> int:
        return sum(file.records for file in self.files)
