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
    silence_seconds: float = 60
    total_seconds: float = 3_600
    max_redirects: int = 10
    # Files and folders that a pattern may lead through.
    max_entries: int = 1_000_000


@dataclass(frozen=True, slots=True)
class PrepareLimits:
    """Limits of unpacking one file: an archive may promise far more than a disk holds."""

    max_bytes: int = 64 << 30
    max_ratio: int = 250
    # What is small is harmless, however well it was packed.
    free_bytes: int = 64 * MIB
    max_entries: int = 100_000
