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
from kamu_assets.query.newest_rows import newest_rows
from kamu_assets.query.requests import AnswerShape, JobAnswer, QueryJob, TailJob
from kamu_assets.query.table_cache import arrow_schema, forget_tables, frame_of
from kamu_assets.query.tables import KAMU, KamuCatalog, NamedDatasets
from kamu_assets.query.text_views import without_views

# Answers about the plan, not of it: no limit can be put on top of them.
_ABOUT_PLANS: Final = frozenset({"Explain", "Analyze", "DescribeTable"})
# Where the node keeps its files is nobody's business.
_TELLING_FUNCTIONS: Final = ("input_file_name",)
_OF_FILES: Final = re.compile("Parquet|Object|External|IO error|EOF")
# Without this nothing is to be found in the plan.
_READS_NEWEST: Final = re.compile(r"\bdesc\b", re.IGNORECASE)
_LOCATION: Final = re.compile(r"[^\s\[\],'\"]*/(f1620[0-9a-f]{64})")


def _new_session(memory_bytes: int, partitions: int | None = None) -> datafusion.SessionContext:
    context = session(KAMU, memory_bytes=memory_bytes, partitions=partitions, own_catalog=True)
    for name in _TELLING_FUNCTIONS:
        context.deregister_udf(name)
    return context


class _Sessions:
    """A session for one query after another: what was read of footers serves the next one, too.

    It is put back only after a query that ended well: what fails may go on running in it for a while.
    """

    def __init__(self) -> None:
        self._free: dict[tuple[int, int | None], datafusion.SessionContext] = {}

    def take(self, job: QueryJob) -> datafusion.SessionContext:
        free = self._free.pop((job.memory_bytes, job.partitions), None)
        return free if free is not None else _new_session(job.memory_bytes, job.partitions)

    def put_back(self, context: datafusion.SessionContext, job: QueryJob) -> None:
        self._free[job.memory_bytes, job.partitions] = context


_SESSIONS: Final = _Sessions()


def answer_query(job: QueryJob) -> JobAnswer:
    """Plan and run a query, in the session of the one before if that ended well."""
    context = _SESSIONS.take(job)
    # How rows are gathered shows in sums of floating-point numbers, and packs come and go.
    datasets = NamedDatasets(context, from_packs=job.partitions != 1)
    rows = job.shape.skip + job.shape.limit
    answer = _answer(_planned(context, datasets, job.sql, at_most=rows), job.shape)
    if not datasets.has_settings:
        _SESSIONS.put_back(context, job)
    return answer


def planned(sql: str, memory_bytes: int) -> datafusion.DataFrame:
    """Plan a query, in a session of its own."""
    context = _new_session(memory_bytes)
    return _planned(context, NamedDatasets(context), sql)


def _planned(
    context: datafusion.SessionContext, datasets: NamedDatasets, sql: str, *, at_most: int | None = None
) -> datafusion.DataFrame:
    """Tables are asked for when the query names them; of the answer `at_most` rows are wanted."""
    context.register_catalog_provider(KAMU, KamuCatalog(datasets))
    register_functions(context, datasets)
    try:
        frame = plan_query(context, sql)
        if at_most is not None and _READS_NEWEST.search(sql) and _keeps_newest(frame, datasets, at_most):
            frame = plan_query(context, sql)
    except InvalidError:
        if datasets.failure is not None:
            raise datasets.failure from None
        raise
    datasets.planning = False
    datasets.wants_columns = "columns" in sql.lower()
    return frame


def _keeps_newest(frame: datafusion.DataFrame, datasets: NamedDatasets, at_most: int) -> bool:
    """Whether the newest rows are enough; `datasets` shows no others from then on."""
    found = datasets.only
    if found is None:
        return False
    count = newest_rows(frame.logical_plan(), offset_column=found.spec.offset_column, at_most=at_most)
    if count is None:
        return False
    datasets.keep_newest(count)
    return True


def answer_tail(job: TailJob) -> JobAnswer:
    """Read the newest rows of a dataset, oldest of them first."""
    context = session(KAMU, memory_bytes=job.memory_bytes, own_catalog=True)
    frame = frame_of(context, job.table)
    if len(arrow_schema(job.table)) > 0:
        column = job.table.offset_column
        frame = frame.filter(between(column, job.first, job.last)).sort(datafusion.col(quoted(column)).sort())
    return _answer(frame, job.shape)


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
        schema = frame.schema()
        batches = _of_plan(frame, shape) if about_plan else _of_rows(frame, shape)
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
