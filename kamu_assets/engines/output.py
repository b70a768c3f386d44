"""From the columns of a query to those of a data slice (ODF: Data Model, system columns)."""

from dataclasses import dataclass
from typing import Final

import datafusion
import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.engines.session import quoted
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.timestamp import Timestamp

_MILLIS: Final = pa.timestamp("ms", "UTC")
# As SQL calls them.
_ARROW_NAMES: Final = {_MILLIS: """'Timestamp(Millisecond, Some("UTC"))'""", pa.int32(): "'Int32'"}
_APPEND: Final = 0


@dataclass(frozen=True)
class OutputColumns:
    """Which columns a query gives, and the slice they become."""

    names: tuple[str, ...]
    casts: tuple[pa.DataType | None, ...]
    has_operation: bool
    slice_schema: pa.Schema
    vocab: DatasetVocabulary

    @classmethod
    def of(cls, schema: pa.Schema, vocab: DatasetVocabulary) -> "OutputColumns":
        """Check a query's columns; raise if no slice can be made of them."""
        _check(schema, vocab)
        own = (vocab.operation_type_column, vocab.event_time_column)
        has_operation = own[0] in schema.names
        fields = [schema.field(name) for name in own if name in schema.names]
        fields += [field for field in schema if field.name not in own]
        casts = tuple(_cast(field, vocab) for field in fields)
        return cls(
            names=tuple(field.name for field in fields),
            casts=casts,
            has_operation=has_operation,
            slice_schema=_slice_schema(fields, vocab),
            vocab=vocab,
        )

    def are_in(self, schema: pa.Schema) -> bool:
        """Whether a table has these columns with the types that they have in the slice."""
        found = zip(self.names, self.casts, strict=True)
        return all(cast in (None, schema.field(name).type) for name, cast in found)

    def slice_rows(self, batch: pa.RecordBatch, *, offset: int, system_time: Timestamp) -> pa.RecordBatch:
        """Rows of the query, completed to rows of the slice."""
        rows = batch.num_rows
        columns = list(batch.columns)
        operation = columns.pop(0) if self.has_operation else pa.repeat(pa.scalar(_APPEND, pa.int32()), rows)
        moment = pa.scalar(system_time.truncate_to_millis().millis, pa.int64()).cast(_MILLIS)
        offsets = pa.array(np.arange(offset, offset + rows, dtype=np.int64))
        return pa.RecordBatch.from_arrays(
            [offsets, operation, pa.repeat(moment, rows), *columns], schema=self.slice_schema
        )

    @staticmethod
    def interval(start: int, end: int) -> OffsetInterval | None:
        return OffsetInterval(start=start, end=end - 1) if end > start else None


def output_query(columns: OutputColumns, table: str) -> str:
    """Select a query's columns in slice order, times as UTC milliseconds, the operation as a 32-bit number."""
    parts = []
    for name, cast in zip(columns.names, columns.casts, strict=True):
        column = quoted(name)
        parts.append(f"arrow_cast({column}, {_ARROW_NAMES[cast]}) AS {column}" if cast else column)
    return f"SELECT {', '.join(parts)} FROM {table}"


def output_frame(columns: OutputColumns, rows: datafusion.DataFrame) -> datafusion.DataFrame:
    """What `output_query` selects, planned without SQL."""
    found = []
    for name, cast in zip(columns.names, columns.casts, strict=True):
        column = datafusion.col(quoted(name))
        found.append(column.cast(cast).alias(name) if cast else column)
    return rows.select(*found)


def _check(schema: pa.Schema, vocab: DatasetVocabulary) -> None:
    for name in (vocab.offset_column, vocab.system_time_column):
        if name in schema.names:
            raise InvalidQueryError(
                "Transformed data contains a column that conflicts with the system column name, you should either "
                f"rename the data column or configure the dataset vocabulary to use a different name: {name}"
            )
    operation = vocab.operation_type_column
    if operation in schema.names and not _is_operation(schema.field(operation).type):
        raise InvalidQueryError(
            f"Operation type column '{operation}' should be an Int32, but found: {schema.field(operation).type}"
        )
    time = vocab.event_time_column
    if time not in schema.names:
        raise InvalidQueryError(f"Event time column '{time}' was not found amongst: {', '.join(schema.names)}")
    if not (pt.is_timestamp(schema.field(time).type) or pt.is_date(schema.field(time).type)):
        raise InvalidQueryError(
            f"Event time column '{time}' should be either Date or Timestamp, but found: {schema.field(time).type}"
        )


def _is_operation(data_type: pa.DataType) -> bool:
    return bool(pt.is_integer(data_type) and data_type not in (pa.int64(), pa.uint64()))


def _cast(field: pa.Field, vocab: DatasetVocabulary) -> pa.DataType | None:
    if field.name == vocab.operation_type_column:
        return pa.int32()
    if pt.is_timestamp(field.type) and field.type != _MILLIS:
        return _MILLIS
    return None


def _slice_schema(fields: list[pa.Field], vocab: DatasetVocabulary) -> pa.Schema:
    system = [
        pa.field(vocab.offset_column, pa.int64(), nullable=False),
        pa.field(vocab.system_time_column, _MILLIS, nullable=False),
    ]
    own = [_slice_field(field, vocab) for field in fields]
    if own[0].name == vocab.operation_type_column:
        operation = own.pop(0)
    else:
        operation = pa.field(vocab.operation_type_column, pa.int32(), nullable=False)
    return pa.schema([system[0], operation, system[1], *own])


def _slice_field(field: pa.Field, vocab: DatasetVocabulary) -> pa.Field:
    if field.name == vocab.operation_type_column:
        return field.with_type(pa.int32()).remove_metadata()
    if pt.is_timestamp(field.type):
        return field.with_type(_MILLIS).remove_metadata()
    return field.remove_metadata()
