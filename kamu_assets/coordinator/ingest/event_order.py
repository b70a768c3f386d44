"""Rows by event time, those without one first, ties as they came (ODF: AddData): put right while they stream by.

Most input is in order, or nearly so: then a window over the newest rows is enough. Else see `event_runs`.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

Keys = npt.NDArray[np.int64]

# Rows that are held back for those that may come before them, and how many more are sorted at a time.
_HOLD_ROWS: Final = 1 << 16
_SORT_ROWS: Final = 1 << 17
_HOLD_BYTES: Final = 32 << 20
_NO_TIME: Final = np.iinfo(np.int64).min


class OutOfOrderError(Exception):
    """A row comes too late to be put right on the way: all must be sorted first."""


def in_order(batches: Iterable[pa.RecordBatch], event_time: str) -> Iterator[pa.RecordBatch]:
    """The rows in order; raises OutOfOrderError at a row that comes after too many later ones."""
    window = _Window(event_time)
    for batch in batches:
        if batch.num_rows:
            yield from window.add(batch)
    yield from window.rest()


def order_keys(batch: pa.RecordBatch | pa.Table, event_time: str) -> Keys:
    """Numbers that are ordered as the rows are to be. No time that anybody writes down counts as none."""
    times = batch.column(event_time)
    times = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
    numbers = times.view(pa.int32()).cast(pa.int64()) if pt.is_date32(times.type) else times.view(pa.int64())
    filled = numbers.fill_null(_NO_TIME) if numbers.null_count else numbers
    keys: Keys = filled.to_numpy()
    return keys


def are_sorted(keys: Keys) -> bool:
    return not bool(np.any(keys[1:] < keys[:-1]))


def sorted_rows(batches: list[pa.RecordBatch], keys: Keys) -> tuple[pa.RecordBatch, Keys]:
    """All rows in order, ties as they came."""
    places = np.argsort(keys, kind="stable")
    return _taken(pa.concat_batches(batches), pa.array(places)), keys[places]


class _Window:
    """The newest rows; what they follow is settled."""

    def __init__(self, event_time: str) -> None:
        self._event_time = event_time
        self._held: deque[tuple[pa.RecordBatch, Keys]] = deque()
        self._rows = self._bytes = 0
        self._is_sorted = True
        # The keys of the last row that was given away, and of the last one that came.
        self._settled = self._last = _NO_TIME

    def add(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take rows, and give those that nothing is expected to come before any more."""
        keys = order_keys(batch, self._event_time)
        if not (keys[0] >= self._last and are_sorted(keys)):
            self._is_sorted = False
            if keys.min() < self._settled:
                raise OutOfOrderError
        self._hold(batch, keys)
        if self._is_sorted:
            yield from self._oldest()
        elif self._rows >= _HOLD_ROWS + _SORT_ROWS or self._bytes >= 2 * _HOLD_BYTES:
            self._sort()
            yield self._settle(self._rows - min(_HOLD_ROWS, self._rows // 2))

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Everything that is still held, in order."""
        if not self._is_sorted:
            self._sort()
        while self._held:
            yield self._held.popleft()[0]

    def _hold(self, batch: pa.RecordBatch, keys: Keys) -> None:
        self._held.append((batch, keys))
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        self._last = keys[-1]

    def _oldest(self) -> Iterator[pa.RecordBatch]:
        """Whole batches from the front, as they came."""
        while len(self._held) > 1 and (self._is_beyond(self._held[0][0])):
            batch, keys = self._held.popleft()
            self._rows -= batch.num_rows
            self._bytes -= batch.nbytes
            self._settled = keys[-1]
            yield batch

    def _is_beyond(self, oldest: pa.RecordBatch) -> bool:
        return self._rows - oldest.num_rows >= _HOLD_ROWS or self._bytes >= _HOLD_BYTES

    def _sort(self) -> None:
        """Hold the same rows as one batch in order."""
        keys = np.concatenate([keys for _, keys in self._held])
        found = sorted_rows([batch for batch, _ in self._held], keys)
        self._held.clear()
        self._rows = self._bytes = 0
        self._is_sorted = True
        self._hold(*found)

    def _settle(self, count: int) -> pa.RecordBatch:
        """The first rows of the only batch."""
        batch, keys = self._held.pop()
        self._rows = self._bytes = 0
        self._settled = keys[count - 1]
        self._hold(batch.slice(count), keys[count:])
        return batch.slice(0, count)


def _taken(batch: pa.RecordBatch, places: pa.Array) -> pa.RecordBatch:
    """Rows at these places. Arrow cannot pick out of views: those are texts for a moment."""
    schema = batch.schema
    plain = pa.schema([field.with_type(without_views(field.type)) for field in schema])
    return batch.cast(plain).take(places).cast(schema)


def without_views(kind: pa.DataType) -> Any:
    """The same values in a layout out of which Arrow can pick."""
    if pt.is_string_view(kind):
        return pa.large_string()
    if pt.is_binary_view(kind):
        return pa.large_binary()
    if pt.is_struct(kind):
        return pa.struct([field.with_type(without_views(field.type)) for field in kind])
    if pt.is_list(kind):
        return pa.list_(kind.value_field.with_type(without_views(kind.value_type)))
    if pt.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(without_views(kind.value_type)))
    return kind
