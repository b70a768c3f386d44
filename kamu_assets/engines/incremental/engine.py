"""The incremental engine, to be bound to the names of streaming engines (`engine.names` in the settings)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import datafusion
import pyarrow as pa

from kamu_assets.engines.answering import answer
from kamu_assets.engines.engine import InvalidQuery, TransformResponse, TransformSuccess
from kamu_assets.engines.incremental.blocks import NEVER
from kamu_assets.engines.incremental.checkpoint import State, fingerprint, read_state, write_state
from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.order import in_total_order
from kamu_assets.engines.incremental.run import output_watermark, run
from kamu_assets.engines.incremental.types import empty_batch, plain_schema, plain_table
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.engines.job import TransformJob
from kamu_assets.engines.output import OutputColumns, output_frame, output_query
from kamu_assets.engines.result import take_rows
from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql.guard import plan_query

_OUTPUT: Final = "kamu output"
_BATCH_ROWS: Final = 1 << 16


def run_incremental(job: TransformJob) -> TransformResponse:
    """Execute a transform in this process."""
    return answer(_supported, job)


def _supported(job: TransformJob) -> TransformSuccess | InvalidQuery:
    try:
        return _transform(job)
    except UnsupportedConstructError as error:
        return InvalidQuery(f"engine {job.request.transform.engine!r}: {error}")


def _transform(job: TransformJob) -> TransformSuccess:
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
    written = take_rows(job, columns, _batches(outcome, columns, is_ordered=work.shape.stateful is None))
    watermark = output_watermark(work, state, request.vocab.event_time_column)
    return replace(written, new_watermark=watermark, late_rows=outcome.late_rows)


def _planned(outcome: Outcome, columns: OutputColumns) -> datafusion.DataFrame:
    rows = outcome.rows
    if isinstance(rows, pa.Table):
        rows = outcome.context.read_batches(rows.to_batches() or [empty_batch(rows.schema)])
    if len(set(columns.names)) == len(columns.names):
        return output_frame(columns, rows)
    # It says what is wrong with them.
    outcome.context.register_view(quoted(_OUTPUT), rows)
    return plan_query(outcome.context, output_query(columns, quoted(_OUTPUT)))


def _table(outcome: Outcome, columns: OutputColumns) -> pa.Table:
    if isinstance(outcome.rows, pa.Table) and columns.are_in(outcome.rows.schema):
        return outcome.rows.select(columns.names)
    frame = _planned(outcome, columns)
    return plain_table(frame.collect(), frame.schema())


def _batches(outcome: Outcome, columns: OutputColumns, *, is_ordered: bool) -> Iterator[pa.RecordBatch]:
    """Rows with the columns of a slice, put in order unless they are."""
    if not is_ordered:
        rows = in_total_order(_table(outcome, columns), columns.vocab.event_time_column)
        yield from rows.to_batches(max_chunksize=_BATCH_ROWS)
        return
    frame = _planned(outcome, columns)
    wanted = plain_schema(frame.schema())
    for batch in frame.execute_stream():
        yield batch.to_pyarrow().cast(wanted)
