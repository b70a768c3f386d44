"""What a sidecar keeps of the rows of a dataset."""

import json
from dataclasses import dataclass
from hashlib import sha3_256
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from kamu_assets.coordinator.ingest.sidecars.equality import any_null
from kamu_assets.coordinator.ingest.sidecars.key_hash import tells_all
from kamu_assets.coordinator.ingest.sidecars.use import Contents, shelf_name
from kamu_assets.odf.data import DatasetVocabulary, OperationType

GONE: Final = "\u2063gone"
SLICE: Final = "slice"
RECORDS: Final = "records"
# A new number makes all sidecars made before unusable.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of which rows, for one dataset schema and one primary key."""

    contents: Contents
    key: tuple[str, ...]
    # The columns of the dataset's slices.
    schema: pa.Schema
    vocab: DatasetVocabulary

    @property
    def name(self) -> str:
        """The folder of sidecars that answer the same question."""
        return shelf_name(self.contents, self.key)

    @property
    def fingerprint(self) -> str:
        """Equal where sidecars can stand for each other."""
        columns = [[field.name, str(field.type)] for field in self.schema]
        return _digest([FORMAT, self.contents, self.key, columns, self.vocab.model_dump()])

    @property
    def data_columns(self) -> list[str]:
        """What rows bring themselves: all but system columns, event time included."""
        vocab = self.vocab
        system = (vocab.offset_column, vocab.operation_type_column, vocab.system_time_column)
        return [field.name for field in self.schema if field.name not in system]

    @property
    def bounded_columns(self) -> list[str]:
        """The columns of which statistics know the bounds; values that have no order have none."""
        vocab = self.vocab
        wanted = (vocab.offset_column, vocab.system_time_column, vocab.event_time_column, *self.key)
        there = [column for column in dict.fromkeys(wanted) if column in self.schema.names]
        return [column for column in there if not pa.types.is_nested(self.schema.field(column).type)]

    @property
    def sort_key(self) -> tuple[str, ...]:
        """The columns by which runs are sorted."""
        return (smallest(self.vocab.offset_column),) if self.contents is Contents.STATISTICS else self.key

    @property
    def payload(self) -> pa.Schema:
        """The columns that are kept."""
        if self.contents is Contents.STATISTICS:
            bounds = [(column, bound) for column in self.bounded_columns for bound in (smallest, largest)]
            fields = [self._field(column).with_name(bound(column)) for column, bound in bounds]
            return pa.schema([pa.field(SLICE, pa.string()), pa.field(RECORDS, pa.int64()), *fields])
        if self.contents is Contents.STATE:
            return pa.schema([*map(self._field, self.data_columns), pa.field(GONE, pa.bool_())])
        if tells_all([self.schema.field(column).type for column in self.key]):
            return pa.schema([])
        return pa.schema([self._field(column) for column in self.key])

    @property
    def read_columns(self) -> list[str]:
        """The columns of a slice that are needed."""
        if self.contents is Contents.KEYS:
            return list(self.key)
        return [self.vocab.operation_type_column, *self.data_columns]

    def key_of(self, rows: pa.RecordBatch) -> list[pa.Array]:
        """The key columns of any rows, with the types of the dataset."""
        return [rows.column(column).cast(self.schema.field(column).type) for column in self.key]

    def kept(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """What is kept of rows of a slice, and the key columns."""
        if self.contents is Contents.KEYS:
            columns = self.key_of(rows)
            rows = pa.RecordBatch.from_arrays(columns, names=list(self.key))
            nulls = any_null(columns)
            # Null equals nothing, so nobody will find those keys.
            return rows if nulls is None else rows.filter(pa.array(~nulls))
        gone = pc.equal(rows.column(self.vocab.operation_type_column), int(OperationType.RETRACT))
        columns = [rows.column(column) for column in self.data_columns]
        return pa.RecordBatch.from_arrays([*columns, gone], schema=self.payload)

    def _field(self, column: str) -> pa.Field:
        # Rows of other engines may lack values that the schema demands.
        return self.schema.field(column).with_nullable(True)


def smallest(column: str) -> str:
    """The column of statistics that holds the smallest value of another one."""
    return f"min {column}"


def largest(column: str) -> str:
    """The same for the largest value."""
    return f"max {column}"


def _digest(value: object) -> str:
    return sha3_256(json.dumps(value).encode()).hexdigest()
