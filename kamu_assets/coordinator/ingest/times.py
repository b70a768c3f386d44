"""Times of rows as datasets keep them: milliseconds of UTC, event time first (ODF: AddData)."""

import pyarrow as pa
import pyarrow.types as pt
from datafusion import DataFrame

from kamu_assets.coordinator.ingest.columns import MILLIS_UTC
from kamu_assets.coordinator.ingest.session import Bench, engine_failures, quoted
from kamu_assets.odf.data import DatasetVocabulary


def normalize_times(bench: Bench, frame: DataFrame, vocab: DatasetVocabulary, event_time: pa.DataType) -> DataFrame:
    """Bring timestamps to milliseconds of UTC (cut toward zero) and event time to its place, absent or not."""
    schema = frame.schema()
    time_column = vocab.event_time_column
    if time_column in schema.names:
        first = _normalized(schema.field(time_column))
    else:
        first = f"arrow_cast(NULL, '{_arrow_name(event_time)}') AS {quoted(time_column)}"
    rest = [_normalized(field) for field in schema if field.name != time_column]
    # As SQL over a view: there DataFusion forgets the order that a preprocess query asked for, and so does upstream.
    with engine_failures():
        bench.session.register_view("__read", frame)
        return bench.session.sql(f"SELECT {', '.join([first, *rest])} FROM __read")


def _normalized(field: pa.Field) -> str:
    column = quoted(field.name)
    if pt.is_timestamp(field.type) and field.type != MILLIS_UTC:
        return f"""arrow_cast({column}, 'Timestamp(Millisecond, Some("UTC"))') AS {column}"""
    return column


def _arrow_name(kind: pa.DataType) -> str:
    names = {pa.date32(): "Date32", pa.date64(): "Date64"}
    return names.get(kind, 'Timestamp(Millisecond, Some("UTC"))')
