"""In which order records are committed: by event time, or by key and operation; nulls first (ODF: MergeStrategy)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.session import Bench, engine_failures, quoted, stream

# Tells rows of one key and operation apart: they stay as they came.
ROW: Final = "\u2063row"
_MEMORY_BYTES: Final = 64 << 20


def by_key(
    bench: Bench, batches: Iterable[pa.RecordBatch], key: Sequence[str], operation: str
) -> Iterator[pa.RecordBatch]:
    """The rows in commit order; many are sorted on disk."""
    rows = _numbered(batches)
    held, size = [], 0
    for batch in rows:
        held.append(batch)
        size += batch.nbytes
        if size > _MEMORY_BYTES:
            yield from _sorted(bench, _spilled(bench, held, rows), key, operation)
            return
    if held:
        with engine_failures():
            frame = bench.session.from_arrow(pa.Table.from_batches(held))
        yield from _sorted(bench, frame, key, operation)


def _sorted(bench: Bench, frame: DataFrame, key: Sequence[str], operation: str) -> Iterator[pa.RecordBatch]:
    columns = [quoted(name) for name in frame.schema().names if name != ROW]
    keys = [_compared(frame.schema().field(column)) for column in key]
    order = [*(f"{one} ASC NULLS FIRST" for one in keys), quoted(operation), quoted(ROW)]
    with engine_failures():
        bench.session.register_view("__changes", frame)
        query = f"SELECT {', '.join(columns)} FROM __changes ORDER BY {', '.join(order)}"
        ordered = bench.session.sql(query)
    yield from stream(ordered)


def _compared(column: pa.Field) -> str:
    # Zeros are one key, of which the new value must come after the old one; in the engine's order -0.0 comes first.
    return f"(CAST({quoted(column.name)} AS DOUBLE) + 0.0)" if pt.is_floating(column.type) else quoted(column.name)


def _spilled(bench: Bench, held: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> DataFrame:
    path = bench.scratch / "changes.arrow"
    with pa.ipc.new_file(str(path), held[0].schema) as writer:
        for batch in held:
            writer.write_batch(batch)
        held.clear()
        for batch in rest:
            writer.write_batch(batch)
    with engine_failures():
        return bench.session.read_arrow(str(path), schema=None, file_extension=".arrow")


def _numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    number = 0
    for batch in batches:
        rows = np.arange(number, number + batch.num_rows, dtype=np.int64)
        yield batch.append_column(pa.field(ROW, pa.int64()), pa.array(rows))
        number += batch.num_rows
