"""Whether two slices hold the same rows in another order; read in a worker process."""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.coordinator.verify.slice_questions import TwoSlices

_BATCH_ROWS: Final = 1024
_MODULUS: Final = 1 << 256


def same_rows(slices: TwoSlices) -> bool:
    """Compare the sums of the hashes of all rows: equal for equal multisets, whatever their order."""
    try:
        return _sum(slices.one, slices.offset_column) == _sum(slices.other, slices.offset_column)
    except (pa.ArrowException, OSError, ValueError):
        return False


def _sum(location: str, offset_column: str) -> int:
    total = 0
    with pq.ParquetFile(location) as file:
        for row in _rows(file, offset_column):
            total += int.from_bytes(hashlib.sha3_256(repr(row).encode()).digest())
    return total % _MODULUS


def _rows(file: Any, offset_column: str) -> Iterator[tuple[Any, ...]]:
    names = [name for name in file.schema_arrow.names if name != offset_column]
    for batch in file.iter_batches(_BATCH_ROWS, columns=names):
        yield from zip(*(_values(column) for column in batch.columns), strict=True)


def _values(column: pa.Array) -> list[Any]:
    """Python values; times as numbers, because Arrow's may lie outside of Python's calendar."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    values: list[Any] = column.to_pylist()
    return values
