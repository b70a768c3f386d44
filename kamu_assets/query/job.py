"""Queries as they run in a worker."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import datafusion
import pyarrow as pa

from kamu_assets.engines.listing import ipc_schema
from kamu_assets.engines.session import between, quoted, session
from kamu_assets.engines.sql_guard import QueryFailedError, plain_text, plan_query, refuse_panic
from kamu_assets.errors import InvalidError
from kamu_assets.query.encode import encode_rows
from kamu_assets.query.functions import register_functions
from kamu_assets.query.requests import AnswerShape, JobAnswer, QueryJob, TailJob
from kamu_assets.query.tables import KAMU, KamuCatalog, NamedDatasets, arrow_schema, frame_of

# Answers about the plan, not of it: no limit can be put on top of them.
_ABOUT_PLANS: Final = frozenset({"Explain", "Analyze", "DescribeTable"})
_LOCATION: Final = re.compile(r"[^\s\[\],'\"]*/(f1620[0-9a-f]{64})")


def answer_query(job: QueryJob) -> JobAnswer:
    """Plan and run a query."""
    return _answer(planned(job.sql, job.memory_bytes), job.shape)


def planned(sql: str, memory_bytes: int) -> datafusion.DataFrame:
    """Plan a query; tables are asked for when it names them."""
    context = _session(memory_bytes)
    datasets = NamedDatasets(context)
    context.register_catalog_provider(KAMU, KamuCatalog(datasets))
    register_functions(context, datasets)
    try:
        frame = plan_query(context, sql)
    except InvalidError:
        if datasets.failure is not None:
            raise datasets.failure from None
        raise
    datasets.planning = False
    datasets.wants_columns = "columns" in sql.lower()
    return frame


def answer_tail(job: TailJob) -> JobAnswer:
    """Read the newest rows of a dataset, oldest of them first."""
    context = _session(job.memory_bytes)
    frame = frame_of(context, job.table)
    if len(arrow_schema(job.table)) > 0:
        column = job.table.offset_column
        frame = frame.filter(between(column, job.first, job.last)).sort(datafusion.col(quoted(column)).sort())
    return _answer(frame, job.shape)


def _session(memory_bytes: int) -> datafusion.SessionContext:
    return session(KAMU, memory_bytes=memory_bytes, own_catalog=True)


@contextmanager
def query_failures() -> Iterator[None]:
    """Tell what a planned query fails of, without the places of files."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        raise QueryFailedError(_LOCATION.sub(r"\1", plain_text(error))) from None


def _answer(frame: datafusion.DataFrame, shape: AnswerShape) -> JobAnswer:
    about_plan = type(frame.logical_plan().to_variant()).__name__ in _ABOUT_PLANS
    with query_failures():
        schema = frame.schema()
        batches = _of_plan(frame, shape) if about_plan else _of_rows(frame, shape)
        rows = encode_rows(schema, batches, shape)
    return JobAnswer(rows.data, ipc_schema(schema), tuple(schema.names), rows.num_records)


def _of_rows(frame: datafusion.DataFrame, shape: AnswerShape) -> Iterator[pa.RecordBatch]:
    for batch in frame.limit(shape.limit, offset=shape.skip).execute_stream():
        yield batch.to_pyarrow()


def _of_plan(frame: datafusion.DataFrame, shape: AnswerShape) -> Iterator[pa.RecordBatch]:
    """Plans name the files they read; tell the slices only, not where the node keeps them."""
    table = frame.to_arrow_table()
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_string_view(field.type):
            texts = [_LOCATION.sub(r"\1", text or "") for text in table[index].to_pylist()]
            table = table.set_column(index, field, pa.array(texts, field.type))
    yield from table.slice(shape.skip, shape.limit).to_batches()
