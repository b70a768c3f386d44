"""Reads a slice in a worker process: Parquet from elsewhere is hostile."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kamu_assets.coordinator.ingest.columns import describe_schema, fit_schema
from kamu_assets.engines.worker_process import report
from kamu_assets.errors import InvalidError
from kamu_assets.odf.arrow_schema import restore_arrow_types
from kamu_assets.odf.data import DataSchema, DatasetVocabulary, OffsetInterval, OptionType
from kamu_assets.odf.data_hash import LogicalHasher
from kamu_assets.odf.defaults import with_defaults
from kamu_assets.odf.multihash import Multihash

_BATCH_BYTES: Final = 64 << 20
_MAX_BATCH_ROWS: Final = 1 << 16
# Several slices are read at a time: only in large ones columns are hashed side by side as well.
_WORTH_THREADS_ROWS: Final = 1 << 19
_THREADS: Final = 2
_MILLIS_PER_DAY: Final = 86_400_000


@dataclass(frozen=True)
class SliceQuestion:
    """A slice, and what its block says about the rows in it."""

    location: str
    offsets: OffsetInterval
    schema: DataSchema | None
    vocab: DatasetVocabulary


@dataclass(frozen=True)
class SliceAnswer:
    """What the rows are; None where the file is not even that."""

    logical_hash: Multihash | None = None
    records: int = 0
    # Why no rows can be read.
    unreadable: str | None = None
    wrong_schema: str | None = None
    wrong_offsets: str | None = None
    max_event_millis: int | None = None


def read_slice(question: SliceQuestion) -> SliceAnswer:
    """Hash and look at every row, a batch at a time."""
    try:
        with pq.ParquetFile(question.location) as file:
            return _Reading(file, question).answer()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a foreign file makes a reader do, it is the file's fault
        return SliceAnswer(unreadable=str(error) or type(error).__name__)


class _Reading:
    def __init__(self, file: Any, question: SliceQuestion) -> None:
        self._file = file
        self._question = question
        self._schema = _embedded_schema(file)
        self._next_offset = question.offsets.start
        self._wrong_offsets: str | None = None
        self._nulls = dict.fromkeys(_maybe_null(self._schema, question.schema), 0)
        self._newest: int | None = None

    def answer(self) -> SliceAnswer:
        wrong = self._compare_schema()
        logical_hash, records = self._hash(look=wrong is None)
        end = self._question.offsets.end
        if wrong is None and self._wrong_offsets is None and self._next_offset != end + 1:
            self._wrong_offsets = f"offsets end at {self._next_offset - 1}"
        filled = [f"column `{name}` has {count} nulls" for name, count in self._nulls.items() if count]
        return SliceAnswer(
            logical_hash=logical_hash,
            records=records,
            wrong_schema=wrong or "; ".join(filled) or None,
            wrong_offsets=self._wrong_offsets,
            max_event_millis=self._newest,
        )

    def _hash(self, *, look: bool) -> tuple[Multihash, int]:
        records = 0
        threads = _THREADS if self._file.metadata.num_rows >= _WORTH_THREADS_ROWS else 1
        with ThreadPoolExecutor(threads) as executor:
            hasher = LogicalHasher(self._schema, executor=executor if threads > 1 else None)
            for batch in self._batches():
                hasher.update(batch)
                records += batch.num_rows
                if look:
                    self._look(batch)
                report(records)
        return hasher.digest(), records

    def _batches(self) -> Iterator[pa.RecordBatch]:
        rows = _batch_rows(self._file.metadata)
        for batch in self._file.iter_batches(rows):
            yield restore_arrow_types(batch, self._schema)

    def _compare_schema(self) -> str | None:
        vocab, dataset = self._question.vocab, self._question.schema
        wanted = [
            *(vocab.offset_column, vocab.operation_type_column),
            *(vocab.system_time_column, vocab.event_time_column),
        ]
        missing = [name for name in wanted if name not in self._schema.names]
        if missing:
            return f"column `{missing[0]}` is missing"
        if self._schema.field(vocab.offset_column).type != pa.int64():
            return f"column `{vocab.offset_column}` is {self._schema.field(vocab.offset_column).type}, not int64"
        if dataset is None:
            return None
        try:
            fit_schema(self._schema, dataset, name="the slice")
        except InvalidError as error:
            return None if _mean_the_same(self._schema, dataset) else str(error)
        return None

    def _look(self, batch: pa.RecordBatch) -> None:
        vocab = self._question.vocab
        if self._wrong_offsets is None:
            self._wrong_offsets = self._compare_offsets(batch.column(vocab.offset_column))
        for name in self._nulls:
            self._nulls[name] += batch.column(name).null_count
        newest = _newest_millis(batch.column(vocab.event_time_column))
        self._newest = newest if self._newest is None else max(self._newest, newest or self._newest)

    def _compare_offsets(self, offsets: pa.Array) -> str | None:
        expected = self._next_offset
        if offsets.null_count:
            return f"a row after offset {expected - 1} has no offset"
        values = offsets.to_numpy(zero_copy_only=False)
        self._next_offset += len(values)
        if len(values) and (values[0] != expected or values[-1] != expected + len(values) - 1):
            return f"rows at {expected} have offsets {values[0]} to {values[-1]}"
        return f"offsets after {expected} do not count by one" if (np.diff(values) != 1).any() else None


def _embedded_schema(file: Any) -> pa.Schema:
    """The schema that the writer meant: Parquet alone has no name for some types."""
    embedded = (file.metadata.metadata or {}).get(b"ARROW:schema")
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(embedded))) if embedded else file.schema_arrow


def _mean_the_same(schema: pa.Schema, dataset: DataSchema) -> bool:
    """Whether the types are equal once units and zones that the dataset leaves out are filled in."""
    try:
        given = describe_schema(schema, name="the slice")
    except InvalidError:
        return False
    return _plain_types(given) == _plain_types(dataset)


def _plain_types(schema: DataSchema) -> list[tuple[str, object]]:
    types = [(column.name, with_defaults(column.type)) for column in schema.fields]
    return [(name, kind.inner if isinstance(kind, OptionType) else kind) for name, kind in types]


def _batch_rows(metadata: Any) -> int:
    """As many rows as fit the memory meant for a batch, by what the file says of itself."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=1)
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // max(widest, 1)))


def _maybe_null(schema: pa.Schema, dataset: DataSchema | None) -> Iterator[str]:
    """Columns whose nulls have to be counted: required in the dataset, nullable in the file."""
    for column in dataset.fields if dataset is not None else ():
        index = schema.get_field_index(column.name)
        if not isinstance(column.type, OptionType) and index >= 0 and schema.field(index).nullable:
            yield column.name


def _newest_millis(times: pa.Array) -> int | None:
    newest = pc.max(times)
    if not newest.is_valid:
        return None
    if pa.types.is_date32(newest.type):
        return int(newest.cast(pa.int32()).as_py()) * _MILLIS_PER_DAY
    if pa.types.is_timestamp(newest.type):
        newest = newest.cast(pa.timestamp("ms", newest.type.tz), safe=False)
    return int(newest.cast(pa.int64()).as_py())
