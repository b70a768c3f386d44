"""Queries as they run in a worker."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import datafusion
import pyarrow as pa
from datafusion.catalog import Table

from kamu_assets.engines.session import between, quoted
from kamu_assets.engines.slices.listing import ipc_schema, may_hide_nan
from kamu_assets.engines.sql.errors import QueryFailedError
from kamu_assets.engines.sql.guard import plain_text, plan_query, refuse_panic
from kamu_assets.errors import InvalidError
from kamu_assets.query.formats.rows import encode_rows
from kamu_assets.query.functions import register_functions
from kamu_assets.query.plans.filter_bounds import filter_bounds
from kamu_assets.query.plans.newest_rows import newest_rows
from kamu_assets.query.plans.row_count import is_row_count
from kamu_assets.query.plans.walking import reads_once
from kamu_assets.query.requests import AnswerShape, JobAnswer, QueryJob, TailJob
from kamu_assets.query.sessions import KAMU, Sessions, new_session
from kamu_assets.query.tables.cache import arrow_schema, forget_tables, frame_of
from kamu_assets.query.tables.few_rows import few_rows
from kamu_assets.query.tables.found import FoundTable
from kamu_assets.query.tables.named import KamuCatalog, NamedDatasets
from kamu_assets.query.tables.text_views import without_views

# Answers about the plan, not of it: no limit can be put on top of them.
_ABOUT_PLANS: Final = frozenset({"Explain", "Analyze", "DescribeTable"})
_OF_FILES: Final = re.compile("Parquet|Object|External|IO error|EOF")
# Without this nothing is to be found in the plan.
_READS_NEWEST: Final = re.compile(r"\bdesc\b", re.IGNORECASE)
_COUNTS: Final = re.compile(r"\bcount\b", re.IGNORECASE)
_NAMES_COLUMNS: Final = re.compile("columns", re.IGNORECASE)
# Queries of the information schema for a table by the name that it has in the query.
_SHOWS_ONE: Final = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*show\s+(?:(?:extended|full)\s+)*(?:columns|create)\b", re.IGNORECASE | re.DOTALL
)
_LOCATION: Final = re.compile(r"[^\s\[\],'\"]*/(f1620[0-9a-f]{64})")


_SESSIONS: Final = Sessions()


def answer_query(job: QueryJob) -> JobAnswer:
    """Plan and run a query, in the session of the one before if that ended well."""
    context = _SESSIONS.take(job.memory_bytes, job.partitions)
    # How rows are gathered shows in sums of floating-point numbers, and packs come and go.
    datasets = NamedDatasets(context, from_packs=job.partitions != 1, known=job.known, sql=job.sql)
    frame = _planned(context, datasets, job.sql, at_most=job.shape.skip + job.shape.limit)
    counted = _counted(frame, datasets.only, job)
    answer = _answer(frame, job.shape) if counted is None else _encoded(counted.schema, [counted], job.shape)
    if not datasets.has_settings:
        _SESSIONS.put_back(context, job.memory_bytes, job.partitions)
    return answer


def planned(sql: str, memory_bytes: int) -> datafusion.DataFrame:
    """Plan a query, in a session of its own."""
    context = new_session(memory_bytes)
    return _planned(context, NamedDatasets(context), sql)


def _planned(
    context: datafusion.SessionContext, datasets: NamedDatasets, sql: str, *, at_most: int | None = None
) -> datafusion.DataFrame:
    """Tables are asked for when the query names them; of the answer `at_most` rows are wanted."""
    context.register_catalog_provider(KAMU, KamuCatalog(datasets))
    register_functions(context, datasets)
    try:
        frame = plan_query(context, sql)
        part = None if at_most is None else _part_needed(frame, datasets.only, sql, at_most)
        if part is not datasets.part:
            datasets.part = part
            frame = plan_query(context, sql)
    except InvalidError:
        if datasets.failure is not None:
            raise datasets.failure from None
        raise
    datasets.planning = False
    datasets.wants_columns = _NAMES_COLUMNS.search(sql) is not None
    datasets.knows_used_names = _SHOWS_ONE.match(sql) is not None
    return frame


def _part_needed(frame: datafusion.DataFrame, found: FoundTable | None, sql: str, at_most: int) -> Table | None:
    """Of the only dataset; None for all of it."""
    if found is None:
        return None
    plan = frame.logical_plan()
    if _READS_NEWEST.search(sql):
        count = newest_rows(plan, offset_column=found.spec.offset_column, at_most=at_most)
        if count is not None:
            return found.newest(count)
    if not any(column in sql for column in found.bounded_columns) or not reads_once(plan):
        return None
    with query_failures():
        part = found.within(filter_bounds(frame.optimized_logical_plan(), found.frame.schema()))
    if part is not None:
        found.expect(sql, part)
    return part


def _counted(frame: datafusion.DataFrame, found: FoundTable | None, job: QueryJob) -> pa.RecordBatch | None:
    """The answer, where it is nothing but how many rows the only dataset has: its chain knows."""
    if found is None or not _COUNTS.search(job.sql) or not is_row_count(frame.logical_plan()):
        return None
    schema = frame.schema()
    row = pa.RecordBatch.from_arrays([pa.array([found.num_records], field.type) for field in schema], schema=schema)
    return row.slice(job.shape.skip, job.shape.limit)


def answer_tail(job: TailJob) -> JobAnswer:
    """Read the newest rows of a dataset, oldest of them first."""
    schema, column = arrow_schema(job.table), job.table.offset_column
    few = few_rows(job.table.slices, schema, offset_column=column, first=job.first, last=job.last)
    if few is not None:
        return _encoded(schema, few.combine_chunks().to_batches(), job.shape)
    context = _SESSIONS.take(job.memory_bytes)
    frame = frame_of(context, job.table)
    if len(schema) > 0:
        frame = frame.filter(between(column, job.first, job.last)).sort(datafusion.col(quoted(column)).sort())
    answer = _answer(frame, job.shape)
    # Such files leave a setting behind.
    if not may_hide_nan(job.table.locations, schema=schema):
        _SESSIONS.put_back(context, job.memory_bytes)
    return answer


@contextmanager
def query_failures() -> Iterator[None]:
    """Tell what a planned query fails of, without the places of files."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        if _OF_FILES.search(str(error)):
            # The next query looks at all of them again.
            forget_tables()
        refuse_panic(error)
        raise QueryFailedError(_LOCATION.sub(r"\1", plain_text(error))) from None


def _answer(frame: datafusion.DataFrame, shape: AnswerShape) -> JobAnswer:
    about_plan = type(frame.logical_plan().to_variant()).__name__ in _ABOUT_PLANS
    with query_failures():
        batches = _of_plan(frame, shape) if about_plan else _of_rows(frame, shape)
        return _encoded(frame.schema(), batches, shape)


def _encoded(schema: pa.Schema, batches: Iterable[pa.RecordBatch], shape: AnswerShape) -> JobAnswer:
    rows = encode_rows(schema, batches, shape)
    return JobAnswer(rows.data, ipc_schema(without_views(schema)), tuple(schema.names), rows.num_records)


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
