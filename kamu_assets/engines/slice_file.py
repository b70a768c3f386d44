"""The Parquet file of a slice, hashed as it is written."""

import contextlib
import hashlib
import os
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.engines.lane import Lane
from kamu_assets.engines.storable import as_schema, file_schema, has_floats, schema_hint
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.multihash import Multicodec, Multihash

GROUP_BYTES: Final = 64 << 20
_GROUP_ROWS: Final = 1 << 20
# Columns of many different values outgrow their dictionary anyway: the sooner, the less is spent on it in vain.
_DICTIONARY_BYTES: Final = 512 << 10
_UNHASHED_BYTES: Final = 8 << 20


class Encodings(StrEnum):
    """How columns are encoded; a matter of size and speed only, hashes of content do not see it."""

    KAMU = "kamu"  # as upstream writes, readable by every Parquet reader upstream uses
    COMPACT = "compact"  # deltas for offsets, times and integers: smaller and faster, unknown to some older readers


class SliceFile:
    """A new file at `path`. Rows are held until they fill a row group."""

    def __init__(self, path: Path, schema: pa.Schema, *, vocab: DatasetVocabulary, encodings: Encodings) -> None:
        self._schema = schema
        self._file_schema = file_schema(schema)
        options = _parquet_options(self._file_schema, schema, vocab, encodings)
        self._file = _HashingFile(path.open("xb"))
        self._parquet = pq.ParquetWriter(self._file, self._file_schema, **options)
        self._group: list[pa.RecordBatch] = []
        self._group_rows = self._group_bytes = 0
        # What the disk has while rows still come need not be waited for when the file is synced.
        self._written_out = Lane("slice-write-out", self._file.write_out, limit_bytes=GROUP_BYTES)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows that have the slice's schema."""
        self._group.append(as_schema(batch, self._file_schema))
        self._group_rows += batch.num_rows
        self._group_bytes += batch.nbytes
        if self._group_rows >= _GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
            self._write_group()
            self._written_out.put(self._file.size, GROUP_BYTES)

    def complete(self) -> None:
        """Write what is left and the footer."""
        self._write_group()
        self._written_out.finish()
        self._parquet.add_key_value_metadata(schema_hint(self._schema))
        self._parquet.close()
        self._file.close()

    def give_up(self) -> None:
        """Close the file as it is."""
        self._written_out.abandon()
        # Else the writer would complete the file when it is collected.
        with contextlib.suppress(Exception):
            self._parquet.close()
        self._file.close()

    @property
    def size(self) -> int:
        return self._file.size

    def multihash(self) -> Multihash:
        """The hash of all bytes so far."""
        return self._file.multihash()

    def _write_group(self) -> None:
        if self._group:
            self._parquet.write_table(pa.Table.from_batches(self._group), row_group_size=_GROUP_ROWS)
            self._group.clear()
            self._group_rows = self._group_bytes = 0


class _HashingFile:
    """What the Parquet writer needs of a file, with a hash of everything that passes, made beside the writing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha3_256()
        self._hashing: Lane[bytes] = Lane("slice-digest", self._hash.update, limit_bytes=_UNHASHED_BYTES)
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: bytes) -> int:
        self._file.write(data)
        self._hashing.put(data, len(data))
        self.size += len(data)
        return len(data)

    def write_out(self, _size: int) -> None:
        """Let the disk have what is written so far. Whoever syncs the file later is not told of what fails here."""
        os.fdatasync(self._file.fileno())

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._hashing.finish()
        self._file.close()

    def multihash(self) -> Multihash:
        return Multihash(Multicodec.SHA3_256, self._hash.digest())


def _parquet_options(
    written: pa.Schema, schema: pa.Schema, vocab: DatasetVocabulary, encodings: Encodings
) -> dict[str, Any]:
    common: dict[str, Any] = {
        "version": "2.6",
        "data_page_version": "1.0",
        "compression": "snappy",
        "dictionary_pagesize_limit": _DICTIONARY_BYTES,
        "store_schema": False,
        "sorting_columns": [pq.SortingColumn(schema.get_field_index(vocab.offset_column))],
    }
    if has_floats(written):
        # They would leave NaN out, and readers that go by them would not find it.
        common["write_statistics"] = [field.name for field in written if _has_sound_statistics(field.type)]
    if encodings is Encodings.KAMU:
        return common
    repeated = [vocab.operation_type_column, vocab.system_time_column]
    deltas = [field.name for field in written if _fits_delta(field.type) and field.name not in repeated]
    texts = [field.name for field in schema if _is_text(field.type)]
    return common | {
        "use_dictionary": repeated + texts,
        "column_encoding": dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
    }


def _has_sound_statistics(data_type: pa.DataType) -> bool:
    return not (pt.is_floating(data_type) or pt.is_nested(data_type))


def _fits_delta(data_type: pa.DataType) -> bool:
    return bool(pt.is_int32(data_type) or pt.is_int64(data_type) or pt.is_timestamp(data_type) or pt.is_date(data_type))


def _is_text(data_type: pa.DataType) -> bool:
    return bool(pt.is_string(data_type) or pt.is_large_string(data_type) or pt.is_string_view(data_type))
