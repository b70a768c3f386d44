"""The last few records of a slice as a small Markdown table."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

ROWS = 5
COLUMNS = 12
# Reading a bigger row group would take longer than a preview is worth.
MAX_BYTES = 32 << 20
_LONGEST_CELL = 60
_NO_FRACTION = re.compile(r"\.0+(?=Z?$)")


def preview(location: str) -> str | None:
    """The end of a local Parquet file; None where it cannot be had cheaply."""
    if not Path(location).is_file():
        return None
    try:
        return _read(location)
    except Exception:
        # A preview is a courtesy: what it cannot show does not fail the run.
        log.warning("preview_failed", location=location, exc_info=True)
        return None


def _read(location: str) -> str | None:
    # Processes that never show a preview need not load Arrow.
    from pyarrow.parquet import ParquetFile

    with ParquetFile(location) as file:
        last = file.metadata.num_row_groups - 1
        if last < 0 or file.metadata.row_group(last).total_byte_size > MAX_BYTES:
            return None
        columns = file.schema_arrow.names[:COLUMNS]
        table = file.read_row_group(last, columns=columns, use_threads=False)
    newest = table.slice(max(0, table.num_rows - ROWS)).combine_chunks()
    cells = [[_cell(value) for value in _values(column)] for column in newest.columns]
    return _table(columns, [list(row) for row in zip(*cells, strict=True)])


def _values(column: Any) -> list[object]:
    """Python's calendar ends before that of the data does; such times come as texts."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        return [_value(column.slice(row, 1)) for row in range(len(column))]


def _value(single: Any) -> object:
    try:
        return single[0].as_py()
    except (ValueError, OverflowError):
        return _NO_FRACTION.sub("", str(single.chunk(0)).strip("[ ]\n"))


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [[_escaped(name) for name in header], ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else _time(value) if isinstance(value, datetime) else str(value)
    return _escaped(text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…")


def _time(value: datetime) -> str:
    """Without the zeros that milliseconds have, and with one letter for UTC."""
    digits = "milliseconds" if value.microsecond and value.microsecond % 1000 == 0 else "auto"
    return value.isoformat(sep=" ", timespec=digits).replace("+00:00", "Z")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ").replace("`", "\\`")
