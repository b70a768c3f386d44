"""Which time lies beyond the calendar: DataFusion tells neither its column nor its row."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.types as pt
from datafusion import DataFrame, col

from kamu_assets.coordinator.ingest.columns import MILLIS_UTC
from kamu_assets.coordinator.ingest.errors import TypeMismatchError
from kamu_assets.coordinator.ingest.explain.parquet_values import first_bad, text_of
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, quoted, stream


def is_about_times(reason: str) -> bool:
    """Whether DataFusion could not bring a time to UTC."""
    return "Cannot cast timezone" in reason


def blame_times(bench: Bench, frame: DataFrame, *, name: str) -> None:
    """Raise the error of the first time that cannot be brought to UTC."""
    for field in frame.schema():
        if pt.is_timestamp(field.type) and field.type != MILLIS_UTC:
            _check_column(bench, frame, field, name)


def _check_column(bench: Bench, frame: DataFrame, field: pa.Field, name: str) -> None:
    row, wanted = 0, pa.field(field.name, MILLIS_UTC)
    for values in _values(frame, field.name):
        guilty = first_bad(bench, values, wanted)
        if guilty is not None:
            raise TypeMismatchError(
                f"{name}, row {row + guilty + 1}, column `{field.name}`: {text_of(values[guilty])} is a time beyond the"
                " calendar, which ends in the year 262142; correct it"
            )
        row += len(values)


def _values(frame: DataFrame, column: str) -> Iterator[pa.Array]:
    """What the query gives before it fails elsewhere."""
    try:
        for batch in stream(frame.select(col(quoted(column)))):
            yield batch.column(0)
    except EngineFailureError:
        return
