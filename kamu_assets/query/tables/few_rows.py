"""Rows of some small files, read without an engine: it takes longer to get going than they take."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.query.tables.pack_plan import SliceFile

_MOST_ROWS: Final = 8192
_MOST_BYTES: Final = 4 << 20
_KEPT_BYTES: Final = 8 << 20


def few_rows(
    slices: Sequence[SliceFile], schema: pa.Schema, *, offset_column: str, first: int, last: int
) -> pa.Table | None:
    """The rows with offsets from `first` to `last`, in this order; None if that is work for an engine.

    It reads what is large or far away, converts columns of other types, and says what is wrong with a file.
    """
    if any("://" in each.location for each in slices) or sum(each.size for each in slices) > _MOST_BYTES:
        return None
    if not 0 < sum(each.records for each in slices) <= _MOST_ROWS:
        return None
    try:
        whole = pa.concat_tables(_rows(each, schema) for each in slices)
        offsets = whole[offset_column].to_pylist()
        start = offsets.index(first)
    except (OSError, ValueError, pa.ArrowException):
        return None
    end = first - start + len(offsets)
    are_all = last < end and offsets == list(range(first - start, end))
    return whole.slice(start, last - first + 1) if are_all else None


def _rows(each: SliceFile, schema: pa.Schema) -> pa.Table:
    """All rows of a slice; ValueError if they are not what was promised."""
    found = Path(each.location).stat()
    file = each.location, found.st_size, found.st_mtime_ns
    rows = _KEPT.get(file)
    if rows is None:
        rows = _read(each)
        _KEPT.put(file, rows)
    if not rows.schema.equals(schema):
        raise ValueError(each.location)
    return rows


def _read(each: SliceFile) -> pa.Table:
    with pq.ParquetFile(each.location) as file:
        # It may have more than it promises, and then too much to be read at once.
        if file.metadata.num_rows != each.records:
            raise ValueError(each.location)
        return file.read(use_threads=False)


class _Kept:
    """What was read lately: those who look at the newest rows look again when there are some more."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[str, int, int], pa.Table] = OrderedDict()
        self._bytes = 0

    def get(self, file: tuple[str, int, int]) -> pa.Table | None:
        if file in self._tables:
            self._tables.move_to_end(file)
        return self._tables.get(file)

    def put(self, file: tuple[str, int, int], rows: pa.Table) -> None:
        self._tables[file] = rows
        self._bytes += rows.nbytes
        while self._bytes > _KEPT_BYTES:
            _, oldest = self._tables.popitem(last=False)
            self._bytes -= oldest.nbytes


_KEPT: Final = _Kept()
