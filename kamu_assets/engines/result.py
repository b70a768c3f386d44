"""The rows of a transform, numbered and written as its data slice, or only hashed."""

import time
from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from kamu_assets.engines.engine import TransformSuccess
from kamu_assets.engines.job import TransformJob
from kamu_assets.engines.output import OutputColumns
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.engines.slices.storable import as_schema, has_structs, storable_schema
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.engines.workers.process import report
from kamu_assets.odf.data_hash import LogicalHasher

_TOLD_SECONDS: Final = 0.1


def take_rows(job: TransformJob, columns: OutputColumns, batches: Iterable[pa.RecordBatch]) -> TransformSuccess:
    """Make the slice of what `output_query` gives; the watermark is the caller's to add."""
    # Which nulls of a struct are hashed depends on how a reader lays them out.
    only_hash = job.hash_only and not has_structs(columns.slice_schema)
    return (_hash if only_hash else _write)(job, columns, _numbered(job, columns, batches))


def _write(job: TransformJob, columns: OutputColumns, rows: Iterator[pa.RecordBatch]) -> TransformSuccess:
    request = job.request
    stats = write_slice(request.new_data_path, columns.slice_schema, rows, vocab=request.vocab, encodings=job.encodings)
    return TransformSuccess(
        new_offset_interval=columns.interval(request.next_offset, request.next_offset + stats.num_records),
        new_watermark=None,
        stats=stats,
        schema=ipc_schema(columns.slice_schema),
    )


def _hash(job: TransformJob, columns: OutputColumns, rows: Iterator[pa.RecordBatch]) -> TransformSuccess:
    schema, start = storable_schema(columns.slice_schema), job.request.next_offset
    hasher, end = LogicalHasher(schema), start
    for batch in rows:
        hasher.update(as_schema(batch, schema))
        end += batch.num_rows
    return TransformSuccess(
        new_offset_interval=columns.interval(start, end),
        new_watermark=None,
        schema=ipc_schema(columns.slice_schema),
        logical_hash=hasher.digest(),
    )


def _numbered(job: TransformJob, columns: OutputColumns, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of the slice; whoever waits hears now and then how many there are so far."""
    request, count, told = job.request, 0, time.monotonic()
    for batch in batches:
        yield columns.slice_rows(batch, offset=request.next_offset + count, system_time=request.system_time)
        count += batch.num_rows
        if time.monotonic() - told >= _TOLD_SECONDS:
            report(count)
            told = time.monotonic()
