"""What one piece of input may use: hostile files end at a named limit, not at the end of the machine."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Limits of reading one file or push."""

    max_columns: int = 4_096
    max_record_bytes: int = 32 * MIB
    max_nesting: int = 64
    # What the layers of an archive and the lines made of them may grow to, each.
    max_unpacked_bytes: int = 4 << 30
    batch_rows: int = 32_768
    sort_memory_bytes: int = 512 * MIB
    # Read steps guess types from so many records (kamu: 1000).
    inference_records: int = 1_000


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits of fetching one file from a source."""

    max_bytes: int = 16 << 30
    connect_seconds: float = 20
    silence_seconds: float = 60
    max_redirects: int = 10
