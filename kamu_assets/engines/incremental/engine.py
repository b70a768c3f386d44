"""The incremental engine, to be bound to the names of streaming engines (`engine.names` in the settings)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pyarrow as pa

from kamu_assets.engines.datafusion import RawQueryJob, TransformJob, run_raw_query
from kamu_assets.engines.engine import (
    InternalError,
    InvalidQuery,
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    TransformRequest,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.incremental.blocks import NEVER
from kamu_assets.engines.incremental.checkpoint import State, fingerprint, read_state, write_state
from kamu_assets.engines.incremental.errors import CheckpointError, UnsupportedConstructError
from kamu_assets.engines.incremental.order import in_total_order
from kamu_assets.engines.incremental.run import output_watermark, run
from kamu_assets.engines.incremental.types import plain_schema, plain_table
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.engines.listing import ipc_schema
from kamu_assets.engines.output import OutputColumns, output_query
from kamu_assets.engines.session import quoted
from kamu_assets.engines.slice_writer import Encodings, SliceWriter
from kamu_assets.engines.sql_guard import StatementNotAllowedError, plain_text, plan_query, refuse_panic
from kamu_assets.engines.worker_process import report
from kamu_assets.engines.workers import WorkerPool
from kamu_assets.errors import InvalidError

_OUTPUT: Final = "kamu output"
_BATCH_ROWS: Final = 1 << 16


class IncrementalEngine:
    """Runs each request in a worker process."""

    def __init__(self, pool: WorkerPool, *, memory_bytes: int, encodings: Encodings = Encodings.KAMU) -> None:
        self._pool = pool
        self._memory_bytes = memory_bytes
        self._encodings = encodings

    def transform(
        self,
        request: TransformRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> TransformResponse:
        job = TransformJob(request, self._encodings, self._memory_bytes)
        return self._pool.run(run_incremental, job, on_progress=on_progress, cancel=cancel)

    def raw_query(
        self,
        request: RawQueryRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> RawQueryResponse:
        """A query over files has no state: the same as for `datafusion`."""
        job = RawQueryJob(request, self._memory_bytes)
        return self._pool.run(run_raw_query, job, on_progress=on_progress, cancel=cancel)


def run_incremental(job: TransformJob) -> TransformResponse:
    """Execute a transform in this process."""
    try:
        return _transform(job)
    except UnsupportedConstructError as error:
        return InvalidQuery(f"engine {job.request.transform.engine!r}: {error}")
    except (StatementNotAllowedError, CheckpointError) as error:
        return InternalError(str(error))
    except InvalidError as error:
        return InvalidQuery(str(error))
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        return InternalError(plain_text(error))


def _transform(job: TransformJob) -> TransformResponse:
    request = job.request
    work = Work.of(request, memory_bytes=job.memory_bytes)
    columns = OutputColumns.of(work.shape.output.schema, request.vocab)
    query, inputs = fingerprint(request), len(request.query_inputs)
    state = State([NEVER] * inputs, {})
    if request.prev_checkpoint_path is not None:
        state = read_state(request.prev_checkpoint_path, query=query, inputs=inputs)
    outcome = run(work, state)
    if work.shape.stateful is not None:
        write_state(request.new_checkpoint_path, State(work.watermarks(state), outcome.tables), query=query)
    written = _write(job, columns, _batches(outcome, columns, is_ordered=work.shape.stateful is None))
    watermark = output_watermark(work, state, request.vocab.event_time_column)
    return replace(written, new_watermark=watermark, late_rows=outcome.late_rows)


def _batches(outcome: Outcome, columns: OutputColumns, *, is_ordered: bool) -> Iterator[pa.RecordBatch]:
    """Rows with the columns of a slice, put in order unless they are."""
    outcome.context.register_view(quoted(_OUTPUT), outcome.rows)
    frame = plan_query(outcome.context, output_query(columns, quoted(_OUTPUT)))
    if not is_ordered:
        rows = plain_table(frame.collect(), frame.schema())
        yield from in_total_order(rows, columns.vocab.event_time_column).to_batches(max_chunksize=_BATCH_ROWS)
        return
    wanted = plain_schema(frame.schema())
    for batch in frame.execute_stream():
        yield batch.to_pyarrow().cast(wanted)


def _write(job: TransformJob, columns: OutputColumns, batches: Iterator[pa.RecordBatch]) -> TransformSuccess:
    request = job.request
    offset = request.next_offset
    with SliceWriter(
        request.new_data_path, columns.slice_schema, vocab=request.vocab, encodings=job.encodings
    ) as writer:
        for batch in batches:
            writer.write(columns.slice_rows(batch, offset=offset, system_time=request.system_time))
            offset += batch.num_rows
            report(offset - request.next_offset)
        stats = writer.finish()
    return TransformSuccess(
        new_offset_interval=columns.interval(request.next_offset, offset),
        new_watermark=None,
        stats=stats,
        schema=ipc_schema(columns.slice_schema),
    )
