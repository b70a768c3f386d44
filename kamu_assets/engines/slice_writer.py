"""Writes one data slice in one pass: Parquet, physical hash, logical hash and statistics from the same batches.

Only slices with structs are read once more for the logical hash.

Memory is bounded by the larger of a batch and `_GROUP_BYTES`. The file is not synced: the store does that when it takes
the file over.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.storable import as_schema, file_schema, has_structs, schema_hint, storable_schema
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.data_hash import UPSTREAM_BATCH_ROWS, LogicalHasher
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.timestamp import Timestamp

_GROUP_ROWS: Final = 1 << 20
_GROUP_BYTES: Final = 64 << 20
_WORTH_A_THREAD_BYTES: Final = 256 << 10
_MILLIS_PER_DAY: Final = 86_400_000


class Encodings(StrEnum):
    """How columns are encoded; a matter of size and speed only, hashes of content do not see it."""

    KAMU = "kamu"  # as upstream writes, readable by every Parquet reader upstream uses
    COMPACT = "compact"  # deltas for offsets, times and integers: smaller and faster, unknown to some older readers


@dataclass(frozen=True, slots=True)
class SliceStats:
    """What a block says about a slice, and what saves reading it again. Without rows there are no offsets."""

    num_records: int
    physical_hash: Multihash
    logical_hash: Multihash
    size: int
    first_offset: int | None
    last_offset: int | None
    max_event_time: Timestamp | None


class SliceWriter:
    """Use as a context manager: `write` batches in offset order, then `finish`. Left without, the file is removed."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        vocab: DatasetVocabulary | None = None,
        encodings: Encodings = Encodings.KAMU,
    ) -> None:
        self._path = path
        self._vocab = vocab or DatasetVocabulary()
        self._schema = storable_schema(schema)
        self._hasher = LogicalHasher(self._schema)
        self._hash_afterwards = has_structs(self._schema)
        self._file_schema = file_schema(self._schema)
        options = self._parquet_options(encodings)
        self._file = _HashingFile(path.open("xb"))
        self._parquet = pq.ParquetWriter(self._file, self._file_schema, **options)
        self._group: list[pa.RecordBatch] = []
        self._thread: ThreadPoolExecutor | None = None
        self._rows = 0
        self._first_offset: int | None = None
        self._last_offset: int | None = None
        self._max_event_time: int | None = None
        self._finished = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Their offsets must follow the previous ones without a gap."""
        if batch.num_rows == 0:
            return
        batch = as_schema(batch, self._schema)
        self._note_offsets(batch.column(self._vocab.offset_column))
        self._note_event_time(batch.column(self._vocab.event_time_column))
        self._rows += batch.num_rows
        hashing = self._start_hashing(batch)
        self._group.append(as_schema(batch, self._file_schema))
        if self._is_group_full():
            self._write_group()
        if hashing is not None:
            hashing.result()

    def finish(self) -> SliceStats:
        """Complete the file and tell what is in it."""
        self._write_group()
        self._parquet.add_key_value_metadata(schema_hint(self._schema))
        self._parquet.close()
        self._file.close()
        if self._hash_afterwards:
            self._hash_file()
        self._finished = True
        millis = self._max_event_time
        return SliceStats(
            num_records=self._rows,
            physical_hash=self._file.multihash(),
            logical_hash=self._hasher.digest(),
            size=self._file.size,
            first_offset=self._first_offset,
            last_offset=self._last_offset,
            max_event_time=None if millis is None else Timestamp.from_millis(millis),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        if not self._finished:
            # Else the writer would complete the file when it is collected.
            with contextlib.suppress(Exception):
                self._parquet.close()
            self._file.close()
            self._path.unlink(missing_ok=True)

    def _parquet_options(self, encodings: Encodings) -> dict[str, Any]:
        offset = self._schema.get_field_index(self._vocab.offset_column)
        common: dict[str, Any] = {
            "version": "2.6",
            "data_page_version": "1.0",
            "compression": "snappy",
            "store_schema": False,
            "sorting_columns": [pq.SortingColumn(offset)],
        }
        if encodings is Encodings.KAMU:
            return common
        repeated = [self._vocab.operation_type_column, self._vocab.system_time_column]
        deltas = [field.name for field in self._file_schema if _fits_delta(field.type) and field.name not in repeated]
        texts = [field.name for field in self._schema if _is_text(field.type)]
        return common | {
            "use_dictionary": repeated + texts,
            "column_encoding": dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
        }

    def _start_hashing(self, batch: pa.RecordBatch) -> Future[None] | None:
        """Hash beside the writing where that pays: both release the GIL."""
        if self._hash_afterwards:
            return None
        if batch.nbytes < _WORTH_A_THREAD_BYTES:
            self._hasher.update(batch)
            return None
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="slice-hash")
        return self._thread.submit(self._hasher.update, batch)

    def _hash_file(self) -> None:
        """Which nulls of a struct are hashed depends on how a reader lays them out, so there it takes a second pass."""
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(UPSTREAM_BATCH_ROWS):
                self._hasher.update(as_schema(batch, self._schema))

    def _is_group_full(self) -> bool:
        rows: int = sum(batch.num_rows for batch in self._group)
        size: int = sum(batch.nbytes for batch in self._group)
        return rows >= _GROUP_ROWS or size >= _GROUP_BYTES

    def _write_group(self) -> None:
        if self._group:
            self._parquet.write_table(pa.Table.from_batches(self._group), row_group_size=_GROUP_ROWS)
            self._group.clear()

    def _note_offsets(self, offsets: pa.Array) -> None:
        first, last = offsets[0].as_py(), offsets[-1].as_py()
        expected = first if self._last_offset is None else self._last_offset + 1
        if first != expected or last - first != len(offsets) - 1:
            raise ValueError(f"offsets {first} to {last} of {len(offsets)} rows do not follow {self._last_offset}")
        self._first_offset = first if self._first_offset is None else self._first_offset
        self._last_offset = last

    def _note_event_time(self, times: pa.Array) -> None:
        newest = pc.max(times)
        if newest.is_valid:
            millis = _millis(newest)
            self._max_event_time = millis if self._max_event_time is None else max(millis, self._max_event_time)


def write_slice(
    path: Path,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    *,
    vocab: DatasetVocabulary | None = None,
    encodings: Encodings = Encodings.KAMU,
) -> SliceStats:
    """Write all `batches` to a new file at `path`."""
    with SliceWriter(path, schema, vocab=vocab, encodings=encodings) as writer:
        for batch in batches:
            writer.write(batch)
        return writer.finish()


class _HashingFile:
    """What the Parquet writer needs of a file, with a hash of everything that passes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha3_256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def multihash(self) -> Multihash:
        return Multihash(Multicodec.SHA3_256, self._hash.digest())


def _millis(time: pa.Scalar) -> int:
    if pt.is_date32(time.type):
        return int(time.cast(pa.int32()).as_py()) * _MILLIS_PER_DAY
    if pt.is_timestamp(time.type) and time.type.unit != "ms":
        time = time.cast(pa.timestamp("ms", time.type.tz), safe=False)
    return int(time.cast(pa.int64()).as_py())


def _fits_delta(data_type: pa.DataType) -> bool:
    return bool(pt.is_int32(data_type) or pt.is_int64(data_type) or pt.is_timestamp(data_type) or pt.is_date(data_type))


def _is_text(data_type: pa.DataType) -> bool:
    return bool(pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type))
