"""Columns that a reader finds or is told: which names and how many may be."""

from collections.abc import Sequence

from kamu_assets.coordinator.ingest.errors import DuplicateColumnError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits


def check_columns(names: Sequence[str], where: str, limits: IngestLimits) -> None:
    """Refuse too many columns, and two of one name."""
    check_width(len(names), where, limits)
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DuplicateColumnError(f"{where}: two columns are named `{name}`")
        seen.add(name)


def check_width(columns: int, where: str, limits: IngestLimits) -> None:
    """Refuse too many columns."""
    if columns > limits.max_columns:
        raise TooLargeError(f"{where}: {columns} columns, more than {limits.max_columns}")
