"""Why values of a Parquet file do not fit the declared schema: row, column, value and expected type."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import col

from kamu_assets.coordinator.ingest.explain import CHUNK, column_error, first_failing
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, quoted, stream


def explain_parquet(bench: Bench, path: Path, *, name: str, schema: pa.Schema) -> None:
    """Raise the error of the first value that cannot be cast; return if there is none."""
    with pq.ParquetFile(path) as file:
        for field in schema:
            found = file.schema_arrow.get_field_index(field.name)
            if found >= 0 and file.schema_arrow.field(found).type != field.type:
                _check_column(bench, file, field, name)


def _check_column(bench: Bench, file: pq.ParquetFile, field: pa.Field, name: str) -> None:
    row = 0
    for batch in file.iter_batches(columns=[field.name], batch_size=CHUNK):
        values = batch.column(0)
        guilty = _first_bad(bench, values, field)
        if guilty is not None:
            reason = _failure(bench, values.slice(guilty, 1), field) or ""
            raise column_error(f"{name}, row {row + guilty + 1}", field, values[guilty].as_py(), reason)
        row += len(values)


def _first_bad(bench: Bench, values: pa.Array, field: pa.Field) -> int | None:
    return first_failing(
        range(len(values)), lambda part: _failure(bench, values.slice(0, len(part)), field) is not None
    )


def _failure(bench: Bench, values: pa.Array, field: pa.Field) -> str | None:
    """What a cast says to these values alone."""
    frame = bench.session.from_arrow(pa.table({field.name: values}))
    try:
        for _ in stream(frame.select(col(quoted(field.name)).cast(field.type))):
            pass
    except EngineFailureError as error:
        return str(error)
    return None
