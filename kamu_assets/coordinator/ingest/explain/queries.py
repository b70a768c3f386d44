"""Which row of the input its preprocessing failed on."""

from collections.abc import Iterator

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import IngestError, SqlRuntimeError
from kamu_assets.coordinator.ingest.explain.guilty_record import column_error, first_failing, general_error, shown
from kamu_assets.coordinator.ingest.preprocess import Preprocessing
from kamu_assets.coordinator.ingest.read.steps import ReadFrame
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, open_bench, stream

_MOST_COLUMNS = 8


def preprocess_error(bench: Bench, source: ReadFrame, steps: Preprocessing, *, reason: str) -> IngestError:
    """The error of a query, or of what is done without one; it names the first row that fails on its own, if any."""
    row = 0
    for batch in _rows(source):
        guilty = _first_bad(bench, batch, steps)
        if guilty is not None:
            found = _failure(bench, batch.slice(guilty, 1), steps)
            if found:
                return _of_row(row + guilty + 1, batch.slice(guilty, 1).to_pylist()[0], steps, found)
            # The rows fail together only, like those of a sum that overflows.
            break
        row += len(batch)
    if steps.transform is None:
        return general_error(steps.name, reason)
    return SqlRuntimeError(f"{steps.name}: preprocess query: {reason}")


def _of_row(row: int, values: dict[str, object], steps: Preprocessing, reason: str) -> IngestError:
    where = f"{steps.name}, row {row}"
    if steps.transform is None:
        # Without a query it is only event time that is made of something else.
        column = steps.vocab.event_time_column
        return column_error(where, pa.field(column, pa.timestamp("ms", "UTC")), values.get(column), reason)
    columns = [f"`{key}` = {shown(value)}" for key, value in values.items()]
    rest = ", …" if len(columns) > _MOST_COLUMNS else ""
    return SqlRuntimeError(
        f"{where}: preprocess query: {reason}; the row has {', '.join(columns[:_MOST_COLUMNS])}{rest}; "
        "correct it, or let the query tolerate it (try_cast, CASE WHEN)"
    )


def _first_bad(bench: Bench, rows: pa.RecordBatch, steps: Preprocessing) -> int | None:
    return first_failing(range(len(rows)), lambda part: _failure(bench, rows.slice(0, len(part)), steps) is not None)


def _rows(source: ReadFrame) -> Iterator[pa.RecordBatch]:
    try:
        yield from stream(source.frame)
    except EngineFailureError:
        # Whoever blames the input has looked at it already.
        return


def _failure(bench: Bench, rows: pa.RecordBatch, steps: Preprocessing) -> str | None:
    """What comes of these rows alone."""
    alone = open_bench(bench.limits, bench.scratch)
    try:
        for _ in stream(steps.apply(alone, alone.session.from_arrow(pa.Table.from_batches([rows])))):
            pass
    except EngineFailureError as error:
        return str(error) or "failed"
    except IngestError as error:
        return str(error)
    return None
