"""What the strategies that change rows have in common."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from kamu_assets.coordinator.ingest.event_order import without_views
from kamu_assets.coordinator.ingest.sidecars.equality import Mask, as_mask, distinct
from kamu_assets.odf.data import OperationType

_CHUNK_ROWS: Final = 1 << 18
_CHUNK_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a new row of a known key differs from the current one."""

    columns: tuple[str, ...]
    event_time: str

    def changed(self, old: pa.RecordBatch, new: pa.RecordBatch) -> Mask:
        """Where some compared column differs. An event time that is not given is no change."""
        found = np.zeros(new.num_rows, np.bool_)
        for column in self.columns:
            differs = distinct(old.column(column), new.column(column))
            if column == self.event_time:
                differs &= as_mask(new.column(column).is_valid())
            found |= differs
        return found

    def appeared(self, new: pa.RecordBatch) -> Mask:
        """Where a row of a new key differs from nothing at all, which is nulls."""
        return _any_value(new, self.columns)

    def vanished(self, old: pa.RecordBatch) -> Mask:
        """Where nothing at all differs from a current row."""
        return _any_value(old, [column for column in self.columns if column != self.event_time])


def as_operation(rows: pa.RecordBatch, operation: OperationType, column: str) -> pa.RecordBatch:
    """The rows with their operation."""
    op = pa.repeat(pa.scalar(int(operation), pa.int32()), rows.num_rows)
    return rows.append_column(pa.field(column, pa.int32(), nullable=False), op)


def kept(rows: pa.RecordBatch, mask: Mask) -> pa.RecordBatch:
    """The rows where the mask says so."""
    return rows if mask.all() else rows.filter(pa.array(mask))


def fitted(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The same rows in larger batches, with the columns and types of `schema`."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        columns = [batch.column(field.name).cast(field.type) for field in schema]
        held.append(pa.RecordBatch.from_arrays(columns, schema=schema))
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _CHUNK_ROWS or size >= _CHUNK_BYTES:
            yield pa.concat_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.concat_batches(held)


def pickable(schema: pa.Schema) -> pa.Schema:
    """The same columns in layouts out of which rows can be picked."""
    return pa.schema([field.with_type(without_views(field.type)) for field in schema])


def _any_value(rows: pa.RecordBatch, columns: Sequence[str]) -> Mask:
    found = np.zeros(rows.num_rows, np.bool_)
    for column in columns:
        found |= as_mask(rows.column(column).is_valid())
    return found
