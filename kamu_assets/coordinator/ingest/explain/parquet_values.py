"""Why a Parquet file could not be read: row, column, value and expected type; or the column that is damaged.

Everything is decoded by the reader that failed: other libraries are not as calm about forged files.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, col

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.explain.guilty_record import column_error, first_failing
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, engine_failures, quoted, stream


def explain_parquet(bench: Bench, path: Path, *, name: str, schema: pa.Schema) -> None:
    """Raise the error of the first value that cannot be cast, or column that cannot be decoded."""
    with engine_failures():
        raw = bench.session.read_parquet(str(path), file_extension="")
        found = raw.schema()
    for field in schema:
        if field.name in found.names:
            _check_column(bench, raw, field, name)


def _check_column(bench: Bench, raw: DataFrame, field: pa.Field, name: str) -> None:
    row = 0
    for values in _decoded(raw, field, name):
        if values.type != field.type or (values.null_count and not field.nullable):
            guilty = first_bad(bench, values, field)
            if guilty is not None:
                reason = _failure(bench, values.slice(guilty, 1), field) or ""
                raise column_error(f"{name}, row {row + guilty + 1}", field, text_of(values[guilty]), reason)
        row += len(values)


def _decoded(raw: DataFrame, field: pa.Field, name: str) -> Iterator[pa.Array]:
    row = 0
    try:
        for batch in stream(raw.select(col(quoted(field.name)))):
            yield batch.column(0)
            row += len(batch)
    except EngineFailureError as error:
        raise BadInputError(
            f"{name}, column `{field.name}`: cannot be decoded after row {row}: {error}; "
            "the file is damaged: fetch or write it again"
        ) from error


def first_bad(bench: Bench, values: pa.Array, field: pa.Field) -> int | None:
    """Index of the first value that cannot be cast."""
    return first_failing(
        range(len(values)), lambda part: _failure(bench, values.slice(0, len(part)), field) is not None
    )


def text_of(value: pa.Scalar) -> object:
    """The value, or its bare number where Python's calendar does not have it."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return f"{value.value} ({value.type})"


def _failure(bench: Bench, values: pa.Array, field: pa.Field) -> str | None:
    """What a cast says to these values alone."""
    if values.null_count and not field.nullable:
        return "non-nullable"
    frame = bench.session.from_arrow(pa.table({field.name: values}))
    try:
        for _ in stream(frame.select(col(quoted(field.name)).cast(field.type))):
            pass
    except EngineFailureError as error:
        return str(error)
    return None
