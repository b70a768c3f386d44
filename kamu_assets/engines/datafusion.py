"""The engine named `datafusion`: what upstream's engine of that name does, as recorded.

Stateless: a run sees only the new slices. One partition; slices of an input in the order of their hash text; a plain
ORDER BY does not order the output; branches of a UNION ALL come in the written order (upstream: in any).
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.engines.engine import (
    InternalError,
    InvalidQuery,
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    RawQuerySuccess,
    TransformRequest,
    TransformRequestInput,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.listing import ipc_schema, listing, schema_from_ipc
from kamu_assets.engines.nullability import as_upstream
from kamu_assets.engines.output import OutputColumns, output_query
from kamu_assets.engines.session import between, empty_frame, quoted, session
from kamu_assets.engines.slice_writer import Encodings, SliceWriter
from kamu_assets.engines.sql_guard import StatementNotAllowedError, plain_text, plan_query, refuse_panic
from kamu_assets.engines.storable import as_schema, has_structs, storable_schema
from kamu_assets.engines.union_order import in_branch_order
from kamu_assets.engines.worker_process import report
from kamu_assets.engines.workers import WorkerPool
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data_hash import LogicalHasher
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.timestamp import Timestamp

_CATALOG: Final = "odf"
_OUTPUT: Final = "kamu output"
_RAW_INPUT: Final = "input"


@dataclass(frozen=True)
class TransformJob:
    """A request with what the node decides."""

    request: TransformRequest
    encodings: Encodings
    memory_bytes: int
    # Hash the rows and write no file, where that can be.
    hash_only: bool = False


@dataclass(frozen=True)
class RawQueryJob:
    request: RawQueryRequest
    memory_bytes: int


class DataFusionEngine:
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
        return self._pool.run(run_transform, job, on_progress=on_progress, cancel=cancel)

    def hash_rows(self, request: TransformRequest, *, cancel: threading.Event | None = None) -> TransformResponse:
        job = TransformJob(request, self._encodings, self._memory_bytes, hash_only=True)
        return self._pool.run(run_transform, job, cancel=cancel)

    def raw_query(
        self,
        request: RawQueryRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> RawQueryResponse:
        job = RawQueryJob(request, self._memory_bytes)
        return self._pool.run(run_raw_query, job, on_progress=on_progress, cancel=cancel)


class DuplicateNameError(Exception):
    """Two tables of a transform have one name. Upstream calls that an internal error."""


def run_transform(job: TransformJob) -> TransformResponse:
    """Execute a transform in this process."""
    try:
        with TemporaryDirectory(prefix="transform-") as folder:
            return _transform(job, Path(folder))
    except (StatementNotAllowedError, DuplicateNameError) as error:
        return InternalError(str(error))
    except InvalidError as error:
        return InvalidQuery(str(error))
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        return InternalError(plain_text(error))


def _transform(job: TransformJob, folder: Path) -> TransformResponse:
    request, context = job.request, _session(job.memory_bytes)
    names = {entry.query_alias for entry in request.query_inputs}
    for number, entry in enumerate(request.query_inputs):
        view = _input_view(context, entry, folder / f"{number}.parquet")
        context.register_view(quoted(entry.query_alias), view)
    output = _plan_steps(context, request.transform, names)
    columns = OutputColumns.of(_schema(context, output), request.vocab)
    context.register_view(quoted(_OUTPUT), output)
    normalized = plan_query(context, output_query(columns, quoted(_OUTPUT)))
    return _write(job, columns, in_written_order(context, normalized))


def run_raw_query(job: RawQueryJob) -> RawQueryResponse:
    """Execute a raw query in this process."""
    request = job.request
    context = _session(job.memory_bytes)
    try:
        context.register_view(_RAW_INPUT, listing(context, sorted(request.input_data_paths)))
        output = _plan_steps(context, request.transform, {_RAW_INPUT})
        rows, schema = 0, _schema(context, output)
        with pq.ParquetWriter(request.output_data_path, schema) as writer:
            for batch in in_written_order(context, output):
                writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                rows += batch.num_rows
        return RawQuerySuccess(rows)
    except (StatementNotAllowedError, DuplicateNameError) as error:
        return InternalError(str(error))
    except InvalidError as error:
        return InvalidQuery(str(error))
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        return InternalError(plain_text(error))


def _session(memory_bytes: int) -> datafusion.SessionContext:
    return session(_CATALOG, memory_bytes=memory_bytes, partitions=1)


def _input_view(context: datafusion.SessionContext, entry: TransformRequestInput, empty: Path) -> datafusion.DataFrame:
    """The new rows of an input, under the schema of its oldest slice; without news, no rows of its schema."""
    if not entry.data_paths or entry.offset_interval is None:
        # A file, not a table in memory: plans are serialised, and those tables cannot be.
        pq.write_table(schema_from_ipc(entry.schema).empty_table(), empty)
        return listing(context, [str(empty)])
    oldest = context.read_parquet(entry.data_paths[0], file_extension="").schema()
    rows = listing(context, sorted(entry.data_paths, key=_file_name), schema=oldest)
    interval = entry.offset_interval
    return rows.filter(between(entry.vocab.offset_column, interval.start, interval.end))


def _plan_steps(context: datafusion.SessionContext, transform: TransformSql, names: set[str]) -> datafusion.DataFrame:
    *views, output = transform.queries or ()
    for view in views:
        if view.alias is None or view.alias in names:
            raise DuplicateNameError(f"The table {view.alias} already exists")
        names.add(view.alias)
        context.register_view(quoted(view.alias), plan_query(context, view.query))
    return _unsorted(context, plan_query(context, output.query))


def _schema(context: datafusion.SessionContext, output: datafusion.DataFrame) -> pa.Schema:
    """The columns as they will come: branches of a union agree about their types only when the plan is optimised."""
    optimised = context.create_dataframe_from_logical_plan(output.optimized_logical_plan()).schema()
    typed = [field.with_type(final.type) for field, final in zip(output.schema(), optimised, strict=True)]
    return as_upstream(pa.schema(typed), output.logical_plan())


def _unsorted(context: datafusion.SessionContext, frame: datafusion.DataFrame) -> datafusion.DataFrame:
    """Without a last plain ORDER BY: it has no effect, but DataFusion would mix the branches of a union below it."""
    plan = frame.logical_plan()
    while type(node := plan.to_variant()).__name__ == "Sort" and node.get_fetch_val() is None:
        (plan,) = plan.inputs()
    return context.create_dataframe_from_logical_plan(plan)


def in_written_order(context: datafusion.SessionContext, frame: datafusion.DataFrame) -> Iterator[pa.RecordBatch]:
    """Rows as they come out of the plan, one branch of a UNION ALL after the other.

    Nothing above the query asks for an order, so DataFusion drops a plain ORDER BY, as it does under the row number
    that upstream adds. A union with a table that happens to be empty says the same and keeps branches apart.
    """
    ordered = in_branch_order(context, frame)
    for branch in ordered.union(empty_frame(context, ordered.schema())).execute_stream_partitioned():
        for batch in branch:
            yield batch.to_pyarrow()


def _write(job: TransformJob, columns: OutputColumns, batches: Iterator[pa.RecordBatch]) -> TransformResponse:
    request = job.request
    # Which nulls of a struct are hashed depends on how a reader lays them out.
    if job.hash_only and not has_structs(columns.slice_schema):
        return _hash(request, columns, batches)
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
        new_watermark=_watermark(request.query_inputs),
        stats=stats,
        schema=ipc_schema(columns.slice_schema),
    )


def _hash(request: TransformRequest, columns: OutputColumns, batches: Iterator[pa.RecordBatch]) -> TransformResponse:
    schema, offset = storable_schema(columns.slice_schema), request.next_offset
    hasher = LogicalHasher(schema)
    for batch in batches:
        rows = columns.slice_rows(batch, offset=offset, system_time=request.system_time)
        hasher.update(as_schema(rows, schema))
        offset += batch.num_rows
        report(offset - request.next_offset)
    return TransformSuccess(
        new_offset_interval=columns.interval(request.next_offset, offset),
        new_watermark=_watermark(request.query_inputs),
        schema=ipc_schema(columns.slice_schema),
        logical_hash=hasher.digest(),
    )


def _watermark(inputs: tuple[TransformRequestInput, ...]) -> Timestamp | None:
    """The slowest of the inputs that moved. Upstream does not look at the previous watermark, so it can go back."""
    newest = [
        max(mark.event_time for mark in entry.explicit_watermarks) for entry in inputs if entry.explicit_watermarks
    ]
    return min(newest, default=None)


def _file_name(location: str) -> str:
    return location.rpartition("/")[2]
