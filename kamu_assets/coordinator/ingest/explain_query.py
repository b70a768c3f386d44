"""Which row of the input a preprocess query failed on."""

from collections.abc import Iterator

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import IngestError, SqlRuntimeError
from kamu_assets.coordinator.ingest.explain import first_failing, shown
from kamu_assets.coordinator.ingest.preprocess import run_queries
from kamu_assets.coordinator.ingest.readers import ReadFrame
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, open_bench, stream
from kamu_assets.odf.engine import TransformSql

_MOST_COLUMNS = 8


def query_error(bench: Bench, source: ReadFrame, transform: TransformSql, *, reason: str) -> IngestError:
    """The error of a query; it names the first row with which alone the query fails as well, if there is one."""
    name = source.file.name
    row = 0
    for batch in _rows(source):
        guilty = _first_bad(bench, batch, transform)
        if guilty is not None:
            found = _failure(bench, batch.slice(guilty, 1), transform)
            if found:
                return _of_row(name, row + guilty + 1, batch.slice(guilty, 1), found)
            # The rows fail together only, like those of a sum that overflows.
            break
        row += len(batch)
    return SqlRuntimeError(f"{name}: preprocess query: {reason}")


def _first_bad(bench: Bench, rows: pa.RecordBatch, transform: TransformSql) -> int | None:
    return first_failing(
        range(len(rows)), lambda part: _failure(bench, rows.slice(0, len(part)), transform) is not None
    )


def _of_row(name: str, row: int, values: pa.RecordBatch, reason: str) -> SqlRuntimeError:
    columns = [f"`{key}` = {shown(value)}" for key, value in values.to_pylist()[0].items()]
    rest = ", …" if len(columns) > _MOST_COLUMNS else ""
    return SqlRuntimeError(
        f"{name}, row {row}: preprocess query: {reason}; the row has {', '.join(columns[:_MOST_COLUMNS])}{rest}; "
        "correct it, or let the query tolerate it (try_cast, CASE WHEN)"
    )


def _rows(source: ReadFrame) -> Iterator[pa.RecordBatch]:
    try:
        yield from stream(source.frame)
    except EngineFailureError:
        # Whoever blames the input has looked at it already.
        return


def _failure(bench: Bench, rows: pa.RecordBatch, transform: TransformSql) -> str | None:
    """What the query says to these rows alone."""
    alone = open_bench(bench.limits, bench.scratch)
    try:
        frame = run_queries(alone, alone.session.from_arrow(pa.Table.from_batches([rows])), transform, name="")
        for _ in stream(frame):
            pass
    except EngineFailureError as error:
        return str(error) or "failed"
    except IngestError as error:
        return str(error)
    return None
