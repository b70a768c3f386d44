"""The last touch to rows: event time filled, required values checked, system columns added (ODF: AddData)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kamu_assets.coordinator.ingest.errors import NullInRequiredError
from kamu_assets.odf.data import DatasetVocabulary, OperationType
from kamu_assets.odf.timestamp import Timestamp

_MILLIS_PER_DAY = 86_400_000


class Completion:
    """Makes rows of a slice out of merged rows."""

    def __init__(
        self, schema: pa.Schema, vocab: DatasetVocabulary, *, system_time: Timestamp, next_offset: int
    ) -> None:
        self.schema = schema
        self._vocab = vocab
        self._system_time = pa.scalar(system_time.millis, pa.int64()).cast(schema.field(vocab.system_time_column).type)
        self._next_offset = next_offset

    def prepared(self, batch: pa.RecordBatch, source_event_time: Timestamp) -> pa.RecordBatch:
        """Rows with an event time each, proven to have all required values."""
        column = self._vocab.event_time_column
        place = batch.schema.get_field_index(column)
        times = batch.column(place)
        if times.null_count:
            times = pc.fill_null(times, _moment(source_event_time, times.type))
        batch = batch.set_column(place, batch.schema.field(place), times)
        for field in self.schema:
            if not field.nullable and field.name in batch.schema.names:
                _check_filled(batch, field.name)
        return batch

    def numbered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Rows with all system columns, numbered on from the last ones."""
        rows = batch.num_rows
        offsets = np.arange(self._next_offset, self._next_offset + rows, dtype=np.int64)
        self._next_offset += rows
        vocab = self._vocab
        system = {vocab.offset_column: pa.array(offsets), vocab.system_time_column: pa.repeat(self._system_time, rows)}
        if vocab.operation_type_column not in batch.schema.names:
            op = pa.scalar(int(OperationType.APPEND), pa.int32())
            system[vocab.operation_type_column] = pa.repeat(op, rows)
        columns = [system[field.name] if field.name in system else _column(batch, field) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    column = batch.column(field.name)
    # Inputs of one block may hold the same text in different layouts.
    return column if column.type == field.type else column.cast(field.type)


def _moment(moment: Timestamp, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_date32(kind):
        return pa.scalar(moment.millis // _MILLIS_PER_DAY, pa.int32()).cast(kind)
    if pa.types.is_date64(kind):
        return pa.scalar(moment.millis // _MILLIS_PER_DAY * _MILLIS_PER_DAY, pa.int64()).cast(kind)
    return pa.scalar(moment.millis, pa.int64()).cast(kind)


def _check_filled(batch: pa.RecordBatch, column: str) -> None:
    nulls = batch.column(column).null_count
    if nulls:
        raise NullInRequiredError(f"column `{column}` contains {nulls} null values while none were expected")
